"""A small backbone, artefacts on plain folders, and a dataset of picture files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.sections import Device, RuntimeConfig
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.registry import ArraysConfig
from neuroattn.data.stimuli import PictureFiles
from neuroattn.features import stage
from neuroattn.features.efficientnet_lite import EfficientNetLiteBackbone, build
from neuroattn.features.registry import EfficientNetLiteConfig


@cache
def _lite(layers: tuple[str, ...], side: int, pool: int | None) -> EfficientNetLiteBackbone:
    config = EfficientNetLiteConfig(layers=list(layers), image_size=side, pool=pool)
    return build(config, torch.device("cpu"))


@pytest.fixture
def lite() -> Callable[..., EfficientNetLiteBackbone]:
    """A Lite0 on small pictures, loaded once for each choice."""

    def make(*layers: str, side: int = 64, pool: int | None = None) -> EfficientNetLiteBackbone:
        return _lite(layers or ("blocks.4",), side, pool)

    return make


def finish(writer: ArtefactWriter, stage_name: str) -> Artefact:
    """Close an artefact as the pipeline would."""
    write_json(
        writer.folder / "fingerprint.json",
        {"stage": stage_name, "version": 1, "science": {}, "parents": {}, "leaves": {}},
    )
    writer.finish(provenance={}, metrics={}, methods="Made by a test.")
    return Artefact(writer.folder)


@pytest.fixture
def artefact_of(tmp_path: Path) -> Callable[[str, Callable[[ArtefactWriter], Any]], Artefact]:
    """Build a finished artefact of a stage from a function that fills it."""

    def make(stage_name: str, fill: Callable[[ArtefactWriter], Any]) -> Artefact:
        writer = ArtefactWriter(tmp_path / f"{stage_name}-artefact")
        writer.folder.mkdir()
        fill(writer)
        return finish(writer, stage_name)

    return make


class Study:
    """A folder of pictures, its ``prepare`` artefact, and runs of the stage over them."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.monkeypatch = root, monkeypatch
        self.pictures = root / "images"
        self.pictures.mkdir(parents=True)

    def fill(self, count: int, seed: int = 0) -> Study:
        """Random colour pictures 3, 6, 9 …: ids are not rows."""
        random = np.random.default_rng(seed)
        for index in range(count):
            pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.pictures / f"{3 * index + 3:05d}.png")
        return self

    @property
    def stimuli(self) -> PictureFiles:
        files = {int(path.stem): path for path in sorted(self.pictures.iterdir())}
        return PictureFiles(files, self.root)

    def prepare(self) -> Artefact:
        """The parent, with the digests of the pictures as they are now."""
        stimuli = self.stimuli
        table = pd.DataFrame(
            {
                "image": stimuli.ids,
                "file": [stimuli.file(int(image)) for image in stimuli.ids],
                "sha256": [stimuli.digest(int(image)) for image in stimuli.ids],
                "source": "",
            }
        )
        writer = ArtefactWriter(self.root / "prepare")
        writer.folder.mkdir()
        writer.table("images.tsv", table)
        return finish(writer, "prepare")

    def run(
        self,
        name: str = "features",
        *,
        parent: Artefact | None = None,
        stimuli: PictureFiles | None = None,
        threads: int = 1,
        **keys: Any,
    ) -> tuple[StageResult, ArtefactWriter]:
        """Run the stage into folder ``name``; the same name again resumes."""
        parent = parent or (
            Artefact(self.root / "prepare") if (self.root / "prepare").exists() else self.prepare()
        )
        out = ArtefactWriter(self.root / name)
        out.folder.mkdir(exist_ok=True)
        chosen = {"layers": ["stem", "blocks.1"], "image_size": 32, "pool": 4, **keys}
        config = SimpleNamespace(
            dataset=ArraysConfig(root=str(self.root)),
            backbone=EfficientNetLiteConfig(**chosen),
            runtime=RuntimeConfig(device=Device.cpu, threads=threads),
        )
        shown = stimuli or self.stimuli
        self.monkeypatch.setattr(
            stage, "open_dataset", lambda _config: SimpleNamespace(stimuli=shown)
        )
        context = StageContext(
            config=config, parents={"prepare": parent}, out=out, tracker=None,  # type: ignore[arg-type]
            seed=0, fingerprint="0" * 64,
        )  # fmt: skip
        return stage.run(context), out

    def features(self, name: str = "features", **keys: Any) -> Artefact:
        """Run the stage and close its artefact."""
        return finish(self.run(name, **keys)[1], "features")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return Study(tmp_path / "study", monkeypatch)
