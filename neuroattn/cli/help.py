"""``neuroattn <stage> --help``: what the stage does, its choices, and every key explained."""

from __future__ import annotations

from collections.abc import Iterator

from hydra.core.config_loader import ConfigLoader

from neuroattn.cli.guard import LAUNCHERS
from neuroattn.core.config import walk
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.stages import catalogue, stage_named

_TEXT = """\
neuroattn {stage} [key=value ...]

Builds {stage}: {about}.
Missing parents ({parents}) are built first. The artefact's folder is the last line on stdout.

Choices
{choices}

Keys, with their values under the choices made
{keys}

Sweep with -m key=1,2 and share it out with hydra/launcher=submitit_local or submitit_slurm.
--cfg job prints the config, --config-dir DIR adds your own, --debug shows tracebacks.
More: docs/cli.md, docs/config.md.
"""


def help_text(stage: str, config: RootConfig, loader: ConfigLoader) -> str:
    """The help of ``stage`` under the config that the command line composed."""
    declared = stage_named(stage)
    return _TEXT.format(
        stage=stage,
        about=declared.about,
        parents=", ".join(declared.parents(config)) or "none",
        choices="\n".join(_choices(loader)),
        keys="\n".join(_keys(config)),
    )


def _choices(loader: ConfigLoader) -> Iterator[str]:
    groups = {group: sorted(registry) for group, registry in catalogue().registries.items()}
    groups["experiment"] = loader.get_group_options("experiment")
    groups["hydra/launcher"] = list(LAUNCHERS)
    for group, names in groups.items():
        if names:
            yield f"  {group}={' | '.join(names)}"


def _keys(config: RootConfig) -> Iterator[str]:
    for key in walk(config):
        if not key.is_name and key.path != "stage":
            value = "null" if key.value is None else key.value
            yield f"  {key.path}={value}\n      {key.doc}"
