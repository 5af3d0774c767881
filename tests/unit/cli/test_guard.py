"""The guard: what a config may set of Hydra's own, and who may set what becomes shell code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra.core.config_loader import ConfigLoader
from omegaconf import OmegaConf

from neuroattn.cli import guard
from neuroattn.cli.compose import config_loader, load
from neuroattn.core.errors import SecurityError


@pytest.fixture(scope="module")
def loader() -> Iterator[ConfigLoader]:
    with config_loader() as made:
        yield made


def check(loader: ConfigLoader, *words: str, typed: tuple[str, ...] | None = None) -> None:
    composed = load(loader, words)
    guard.check(loader, composed, words if typed is None else typed)


@pytest.mark.parametrize(
    "words",
    [
        ["hydra.run.dir=x", "hydra.sweep.subdir=y", "hydra.verbose=true"],
        ["hydra.job.name=mine", "hydra.output_subdir=null"],
        ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "seed=3"],
        ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
        ["hydra/launcher=submitit_slurm", "hydra.launcher.setup=['module load cuda']"],
    ],
)
def test_where_how_loud_and_with_what_resources_is_free(
    loader: ConfigLoader, words: list[str]
) -> None:
    check(loader, *words)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("hydra.callbacks.x", {"_target_": "os.system"}),
        ("hydra.launcher._target_", "os.system"),
        ("hydra.sweeper._target_", "os.system"),
        ("hydra.job_logging.handlers.x", {"()": "os.system"}),
        ("hydra.job_logging.handlers.file.class", "os.system"),
        ("hydra.hydra_logging.handlers.console.stream", "ext://sys.exit"),
        ("hydra.job.env_set", {"LD_PRELOAD": "x"}),
        ("hydra.job.chdir", True),
        ("notes.x", {"_target_": "os.system"}),
        ("dataset.x", [{"_target_": "os.system"}]),
    ],
)
def test_what_could_run_code_is_refused(loader: ConfigLoader, place: str, value: object) -> None:
    # Set past every schema: what Hydra refuses by itself, the guard refuses as well.
    bare = OmegaConf.create(OmegaConf.to_container(load(loader, []), resolve=False))
    OmegaConf.update(bare, place, value, force_add=True)
    with pytest.raises(SecurityError) as caught:
        guard.check(loader, bare, [f"{place}={value}"])
    assert str(caught.value.found).startswith(place)


def test_other_launchers_are_refused_by_name(loader: ConfigLoader) -> None:
    bare = OmegaConf.create(OmegaConf.to_container(load(loader, []), resolve=False))
    bare.hydra.runtime.choices["hydra/launcher"] = "joblib"
    with pytest.raises(SecurityError, match="hydra/launcher=joblib"):
        guard.check(loader, bare, [])


@pytest.mark.parametrize("place", guard.SHELL)
def test_shell_code_comes_from_the_keyboard_alone(loader: ConfigLoader, place: str) -> None:
    # Not every version of the launcher has each of these keys, so they are set past its schema.
    composed = load(loader, ["hydra/launcher=submitit_slurm"])
    composed = OmegaConf.create(OmegaConf.to_container(composed, resolve=False))
    composed.hydra.launcher[place.rpartition(".")[2]] = ["x"]
    guard.check(loader, composed, [f"++{place}=[x]"])
    with pytest.raises(SecurityError, match="only on the command line"):
        guard.check(loader, composed, ["experiment=from_a_file"])


def test_leaves_reach_into_lists_of_mappings() -> None:
    tree = {"a": {"b": [1, 2], "c": [{"d": 3}, 4]}, "e": {}}
    found = {"a.b": [1, 2], "a.c.0.d": 3, "a.c.1": 4, "e": {}}
    assert dict(guard._leaves(tree)) == found
