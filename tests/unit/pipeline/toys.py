"""Four toy stages in a diamond (seed → left, right → top), and artefacts made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.errors import DataError
from neuroattn.core.fingerprint import SHORT, stage_fingerprint
from neuroattn.core.stage import Stage, StageContext, StageResult
from neuroattn.pipeline.config import RootConfig

PLACE = "tests.unit.pipeline.toys"


def run(context: StageContext) -> StageResult:
    """Write which parents were there, and which failed."""
    context.out.json("seen.json", [sorted(context.parents), sorted(context.failures)])
    return StageResult(metrics={"seed": float(context.seed)}, methods="A toy was made.")


def fail(context: StageContext) -> StageResult:
    """Write a little and fail."""
    context.out.text("half.txt", "half")
    raise DataError("the toy is broken", fix="mend the toy")


def crash(context: StageContext) -> StageResult:
    """Fail as foreign code does."""
    raise ZeroDivisionError("by a toy")


def leaves(config: Any) -> dict[str, Path]:
    """The dataset's folder holds the one input file."""
    return {"input.txt": Path(config.dataset.root) / "input.txt"}


def stage(name: str, *parents: str, function: str = "run", **more: Any) -> Stage:
    """A toy stage that reads the seed."""
    return Stage(
        name=name,
        version=1,
        about="a toy",
        reads=("seed",),
        parents=lambda _config: parents,
        run=f"{PLACE}:{function}",
        label=lambda _config: "toy",
        **more,
    )


DIAMOND = (
    stage("toy_seed", leaves=f"{PLACE}:leaves"),
    stage("toy_left", "toy_seed"),
    stage("toy_right", "toy_seed"),
    stage("toy_top", "toy_left", "toy_right"),
)


def config(folder: Path, **keys: Any) -> RootConfig:
    """A root config below ``folder``, whose dataset is one small file."""
    made = RootConfig(**keys)
    made.paths.root = str(folder / "root")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "input.txt").write_text("input")
    made.dataset.root = str(folder / "data")
    return made


def made(
    root: Path,
    stage: str,
    science: Mapping[str, Any],
    parents: Mapping[str, Artefact] | None = None,
    *,
    done: bool = True,
) -> Path:
    """The folder of an artefact written by hand, finished or not."""
    parents = parents or {}
    fingerprint = stage_fingerprint(
        stage=stage,
        version=1,
        science=science,
        parents={name: parent.fingerprint for name, parent in parents.items()},
        leaves={},
    )
    folder = root / stage / f"toy-{fingerprint.digest[:SHORT]}"
    writer = ArtefactWriter(folder)
    writer.text("payload.txt", "payload")
    write_json(folder / "fingerprint.json", fingerprint.payload)
    inputs = {name: {"label": parent.label} for name, parent in parents.items()}
    write_json(folder / "inputs.json", inputs)
    if done:
        writer.finish(provenance={}, metrics={}, methods="")
    return folder
