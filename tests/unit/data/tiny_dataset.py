"""A tiny dataset in the ``arrays`` layout, and how to prepare any dataset."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.fingerprint import stage_fingerprint
from neuroattn.core.stage import StageContext
from neuroattn.core.tracking import Tracker
from neuroattn.data.stage import run

YAML = """\
name: tiny
species: macaque
modality: electrophysiology
units: spikes
space: none
licence: CC0
citation: Nobody 2020
"""
# Image 7 is shown twice to each of two subjects, image 2 once to each, image 4 once to one.
TRIALS = """\
trial\timage\tsession\trepeat\tsubject
0\t7\t1\t1\t01
1\t2\t1\t1\t01
2\t7\t1\t2\t01
3\t7\t2\t1\t02
4\t2\t2\t1\t02
5\t4\t2\t1\t02
6\t7\t2\t2\t02
"""
ROIS = "target\troi\themisphere\tvertex\n0\tV1\tlh\t10\n0\tearly\tlh\t10\n2\tV4\trh\tn/a\n"
RESPONSES = np.arange(21, dtype=np.float32).reshape(7, 3)


def write_tiny(root: Path) -> Path:
    """Write the dataset; picture 9 is never shown."""
    (root / "images").mkdir(parents=True)
    for image in (2, 4, 7, 9):
        picture = np.full((5, 6, 3), image * 10, dtype=np.uint8)
        Image.fromarray(picture).save(root / "images" / f"{image:05d}.png")
    (root / "dataset.yaml").write_text(YAML)
    (root / "trials.tsv").write_text(TRIALS)
    (root / "rois.tsv").write_text(ROIS)
    np.save(root / "responses.npy", RESPONSES)
    return root


def context_for(dataset: Any, folder: Path) -> StageContext:
    """A context in which the stage ``prepare`` can run."""
    folder.mkdir(parents=True, exist_ok=True)
    return StageContext(
        config=SimpleNamespace(dataset=dataset),
        parents={},
        out=ArtefactWriter(folder),
        tracker=Tracker(folder / "metrics.jsonl"),
        seed=0,
        fingerprint="0" * 64,
    )


def prepare(dataset: Any, folder: Path) -> Artefact:
    """Run the stage and finish its artefact as the pipeline would."""
    context = context_for(dataset, folder)
    result = run(context)
    payload = stage_fingerprint(stage="prepare", version=1, science={}, parents={}, leaves={})
    write_json(folder / "fingerprint.json", payload.payload)
    context.out.finish(provenance={}, metrics=result.metrics, methods=result.methods)
    return Artefact(folder)
