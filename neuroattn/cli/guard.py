"""What a config may make Hydra do. Hydra runs code that a config names; we allow a short list.

The check works on the composed ``hydra`` node, before Hydra acts on it: apart from the keys
in `FREE`, it must equal what the shipped configs alone compose to. So callbacks, logging
handlers with ``()``, other launchers or sweepers are refused wherever they come from: the
command line, an experiment file, an overlay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from neuroattn.cli.compose import load
from neuroattn.core.errors import SecurityError

LAUNCHERS = ("basic", "submitit_local", "submitit_slurm")

# Keys that only say where, how verbosely and with what resources Hydra works.
FREE = (
    "hydra.mode",
    "hydra.verbose",
    "hydra.output_subdir",
    "hydra.searchpath",
    "hydra.overrides",
    "hydra.runtime",
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.sweep.subdir",
    "hydra.sweeper.max_batch_size",
    "hydra.sweeper.params",
    "hydra.job.name",
    "hydra.job.num",
    "hydra.job.id",
    "hydra.job.override_dirname",
    "hydra.job.config_name",
    "hydra.launcher",
)

# Keys that become shell code on the cluster: only the person at the keyboard sets them.
SHELL = (
    "hydra.launcher.setup",
    "hydra.launcher.python",
    "hydra.launcher.srun_args",
    "hydra.launcher.additional_parameters",
)

EXECUTABLE = ("_target_", "()", "_partial_", "_recursive_", "_convert_", "_args_")


def check(loader: ConfigLoader, composed: DictConfig, typed_words: Sequence[str]) -> None:
    """Refuse a composition that would make Hydra run code of the config's choosing.

    Parameters
    ----------
    loader : a loader over the shipped configs alone.
    composed : the composition to be checked, with its ``hydra`` node.
    typed_words : the overrides as typed; only these may set `SHELL` keys.

    Raises
    ------
    SecurityError : naming the first key that is not allowed.
    """
    tree = OmegaConf.to_container(composed, resolve=False)
    launcher = str(composed.hydra.runtime.choices.get("hydra/launcher"))
    if launcher not in LAUNCHERS:
        raise _refusal(f"hydra/launcher={launcher}", " | ".join(LAUNCHERS))
    known = _known(loader, launcher)
    for key, value in _leaves(tree):
        _check_leaf(key, value, known, typed_words)
        if launcher != "basic":
            _check_line(key, value, known)


_shipped: dict[str, dict[str, Any]] = {}


def _known(loader: ConfigLoader, launcher: str) -> dict[str, Any]:
    """What the shipped configs alone compose to; composed once, as a sweep asks once a job."""
    if launcher not in _shipped:
        composed = load(loader, [f"hydra/launcher={launcher}"])
        _shipped[launcher] = dict(_leaves(OmegaConf.to_container(composed, resolve=False)))
    return _shipped[launcher]


def _check_leaf(key: str, value: Any, known: Mapping[str, Any], typed_words: Sequence[str]) -> None:
    same = key in known and known[key] == value
    if same:
        return
    if any(part in EXECUTABLE for part in key.split(".")):
        raise _refusal(key, "no key that names code to run")
    if not key.startswith("hydra."):
        return
    shell = next((name for name in SHELL if key.startswith(name)), "")
    if shell and not any(word.lstrip("+").startswith(shell) for word in typed_words):
        raise _refusal(key, "this key only on the command line, since it becomes shell code")
    if not any(key == free or key.startswith(f"{free}.") for free in FREE):
        raise _refusal(key, f"of Hydra's own keys only {', '.join(FREE[:9])}… (docs/cli.md)")


def _check_line(key: str, value: Any, known: Mapping[str, Any]) -> None:
    """Refuse line breaks: submitit writes values into a shell script, some through others."""
    if known.get(key) != value and any(mark in f"{key}{value}" for mark in "\n\r\0"):
        raise _refusal(key, "values of one line, since a job script is made from them")


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(tree, list) and any(isinstance(item, Mapping | list) for item in tree):
        for index, value in enumerate(tree):
            yield from _leaves(value, f"{prefix}.{index}")
    else:
        yield prefix, tree


def _refusal(key: str, allowed: str) -> SecurityError:
    return SecurityError(
        f"the config sets {key}, which could make Hydra run foreign code",
        expected=allowed,
        found=key,
        fix="remove the key; extend neuroattn through a plug-in (docs/plugins.md)",
    )
