"""One tiny chain through the real command line: 24 small pictures, one layer, two folds."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import os
import shutil
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from neuroattn.cli.compose import compose
from neuroattn.cli.main import main
from neuroattn.core.artefact import Artefact
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import Node, plan
from tests.tiny_generator import tiny_generator

SIZE = (
    "backbone.image_size=64",
    "backbone.layers=[blocks.4]",
    "backbone.pool=2",
    "dataset.split.folds=2",
    "encoder.inner_folds=2",
    "encoder.n_alphas=3",
    "runtime.threads=1",
    "runtime.workers=1",
)

# What a stage needs beside `SIZE`; a stage that is not here needs nothing.
EXTRA = {
    "predict": ("predict.images={data}/images",),
    "ablate": ("ablation.least=1", "ablation.controls=3", "ablation.parcels=3"),
    "imagery": ("imagery.trials=seed=1", "imagery.permutations=50"),
    "synthesize": (
        "generator=folder",
        "generator.model={data}-generator",
        "guidance.steps=2",
        "synthesis.objectives=[early_sim]",
        "synthesis.images=2",
        "synthesis.chunk=1",
    ),
    "showcase": ("showcase.folder={data}-no-models", "showcase.scenes=1"),
    "bank": ("caption.bank.source=folder", "caption.bank.path={data}/images"),
    "caption": (
        "captioner=nearest",
        "caption.bank.captions={data}-captions.json",
        "caption.nulls=2",
    ),
    "compare": (
        "compare.members.plain=encoder=ridge",
        "compare.members.stiff=encoder=ridge encoder.alpha_min=10",
    ),
}
# Stages that stand for the others where all go through the same code, in the fast tests.
SOME = {"prepare", "encode", "synthesize", "report"}
FIRST = {"prepare", "bank", "showcase"}  # no stage comes before these
DRAWING = {"synthesize"}  # needs a generator
SAID = {"caption"}  # needs captions of the pictures
ON_CORTEX = {"map"}  # needs targets with a vertex of fsaverage5


def fast_alone(names: Iterable[str], fast: Container[str]) -> list[ParameterSet]:
    """Parameters of a test that takes all of them the same way: those but ``fast`` are slow."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in names]


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def path(self) -> Path:
        """The last line of stdout."""
        return Path(self.out.strip().splitlines()[-1])


def neuroattn(*words: str) -> Ran:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _own_logging():
        try:
            code = main(list(words))
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Hydra puts handlers on the root logger; close them with the command that they belong to."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        for added in set(root.handlers) - set(handlers):
            with contextlib.suppress(OSError):  # on a full disk it has something left to say
                added.close()
        root.handlers[:], root.level = handlers, level


def words(stage: str, data: Path, root: Path, *more: str) -> list[str]:
    """The tiny command for ``stage``."""
    data = _on_cortex(data) if stage in ON_CORTEX else data
    if stage in DRAWING:
        tiny_generator(data.with_name(f"{data.name}-generator"))
    if stage in SAID:
        _with_captions(data)
    extra = (word.format(data=data) for word in EXTRA.get(stage, ()))
    return [stage, f"dataset.root={data}", f"paths.root={root}", *SIZE, *extra, *more]


def _with_captions(data: Path) -> None:
    """A file beside the dataset that says something of each picture."""
    told = data.with_name(f"{data.name}-captions.json")
    if not told.exists():
        names = sorted(path.name for path in (data / "images").iterdir())
        texts = {f"images/{name}": [f"A photo of thing {n % 5}."] for n, name in enumerate(names)}
        told.write_text(json.dumps(texts))


def _on_cortex(data: Path) -> Path:
    """A copy of the dataset ``data`` beside it, each target with a vertex of its own."""
    variant = data.with_name(f"{data.name}-fsaverage5")
    if not variant.exists():
        draft = Path(shutil.copytree(data, data.with_name(f"{variant.name}.{os.getpid()}")))
        about = (data / "dataset.yaml").read_text()
        (draft / "dataset.yaml").write_text(about.replace("space: none", "space: fsaverage5"))
        header, *rows = (data / "rois.tsv").read_text().splitlines()
        placed = [f"{row}\t{100 * int(row.partition(chr(9))[0])}" for row in rows]
        (draft / "rois.tsv").write_text("\n".join([f"{header}\tvertex", *placed]) + "\n")
        draft.rename(variant)
    return variant


@cache
def _composed(stage: str, data: Path) -> RootConfig:
    return compose(words(stage, data, Path("unset"))[1:])


def config(stage: str, data: Path, root: Path) -> RootConfig:
    """The config of the tiny command for ``stage``, composed once: 0.5 s less than the command."""
    made = copy.deepcopy(_composed(stage, data))
    made.stage, made.paths.root = stage, str(root)
    return made


def node(stage: str, data: Path, root: Path) -> Node:
    """The artefact that the tiny command for ``stage`` leads to, built or not."""
    return plan(stage, config(stage, data, root))


def build(stage: str, data: Path, root: Path) -> Artefact:
    """The finished artefact of the tiny command for ``stage``, without the command line."""
    return run_stage(stage, config(stage, data, root))


def with_parents(stage: str, data: Path, built: Path, root: Path) -> Path:
    """Copy the ancestors of ``stage`` to ``root`` from ``built``, made there if need be."""
    build(stage, data, built)
    for ancestor in node(stage, data, built).chain():
        if ancestor.stage.name != stage:
            place = root / ancestor.stage.name / ancestor.label
            shutil.copytree(ancestor.folder, place, dirs_exist_ok=True)
    return root


def payloads(root: Path) -> dict[str, dict[str, str]]:
    """Digests of every payload file of every finished artefact, as their provenance has them."""
    return {
        str(done.parent.relative_to(root)): {
            name: entry["sha256"]
            for name, entry in json.loads((done.parent / "provenance.json").read_text())[
                "payload"
            ].items()
        }
        for done in sorted(root.glob("*/*/DONE"))
    }
