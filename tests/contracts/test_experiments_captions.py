"""The experiments on captions: they compose as published, and run small with random models."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from neuroattn.captioning.registry import BankSource, Measure
from neuroattn.cli.compose import compose
from neuroattn.data.nsd import layout
from neuroattn.pipeline.published import Certainty, told
from tests.chain import neuroattn
from tests.nsd_copy import write_copy

FIGURES = {
    "brainscuba_nsd": [0.207, 0.251, 0.264, 0.182],
    "lavca_nsd": [0.246, 0.287, 0.306, 0.218],
}
CAPTIONERS = {
    "brainscuba_nsd": "prefix_lm", "brainscuba_person": "prefix_lm", "lavca_nsd": "keywords",
}  # fmt: skip
SUBJECTS = ["subj01", "subj02", "subj05", "subj07"]


@pytest.mark.parametrize("name", FIGURES)
def test_the_published_scores_stand_by_subject_and_say_how_they_are_known(name: str) -> None:
    rows = [row for row in told(name)["expected"] if row["figure"] == "verified.sentence"]
    assert [row["value"] for row in rows] == FIGURES[name]
    assert [row["subject"] for row in rows] == SUBJECTS
    assert {row["certainty"] for row in rows} == {Certainty.second_hand.value}


@pytest.mark.parametrize("name", CAPTIONERS)
def test_settings_are_the_published_ones(name: str) -> None:
    config = compose([f"experiment={name}"])
    assert config.captioner.name == CAPTIONERS[name]
    assert config.published.stage == "caption"
    caption = config.caption
    assert (caption.temperature, caption.draws, caption.concepts) == (150, 5, 1)
    assert caption.bank.source is BankSource.folder
    assert caption.analysis.verified == 5000
    wide_open = caption.gate.threshold == 0 and caption.gate.measure is Measure.r_squared
    assert wide_open is (name != "brainscuba_person")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small NSD with captions, a random CLIP, and a random captioner of its space."""
    root: Path = tmp_path_factory.mktemp("small")
    write_copy(root / "nsd")
    describe(root / "nsd")
    tiny_clip(root / "clip")
    from tests.unit.captioning.speaker import saved, untrained

    saved(untrained(12, ["a cat", "a face in a city"]), root / "captioner", 12)
    return root


def describe(root: Path) -> None:
    """Two captions for every photograph."""
    by_split: dict[str, list[dict[str, object]]] = {}
    with layout.stim_info(root).open() as file:
        for row in csv.DictReader(file):
            photograph, rows = int(row["cocoId"]), by_split.setdefault(row["cocoSplit"], [])
            for noun in ("cat", "face"):
                said = f"a {noun} {'ab'[photograph % 2]}"
                rows.append({"image_id": photograph, "id": len(rows), "caption": said})
    for split, rows in by_split.items():
        path = layout.coco_annotations(root, split)
        path.write_text(json.dumps({"annotations": rows}))


def tiny_clip(folder: Path) -> None:
    """A CLIP of one layer with random weights, whose tokens are letters."""
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    letters = [
        *"abcdefghijklmnopqrstuvwxyz.,",
        *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz.,"),
    ]
    words = ["<|startoftext|>", "<|endoftext|>", *letters]
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    shape = CLIPConfig(
        text_config={**tower, "vocab_size": len(words), "max_position_embeddings": 40,
                     "bos_token_id": 0, "eos_token_id": 1},
        vision_config={**tower, "image_size": 32, "patch_size": 16}, projection_dim=12,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(shape).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", CAPTIONERS)
def test_they_run_at_smoke_size(name: str, small: Path) -> None:
    words = [
        f"paths.root={small}/root", f"dataset.root={small}/nsd", f"backbone.model={small}/clip",
        "dataset.rois=[prf-visualrois,streams]", "backbone.image_size=32", "runtime.threads=1",
        "runtime.workers=1", "scoring.permutations=20", "scoring.bootstraps=20",
        "caption.bank.source=dataset", "caption.bank.path=null", "caption.nulls=6",
        "caption.draws=2", "caption.analysis.draws=20", "caption.analysis.deals=3",
    ]  # fmt: skip
    if name != "lavca_nsd":
        words += [f"captioner.model={small}/captioner", "captioner.beams=2", "captioner.length=8"]
    if name == "brainscuba_person":  # responses of the copy follow no picture: nothing passes
        words += ["caption.gate.measure=r_squared", "caption.gate.threshold=0", "caption.gate.q=1"]
    ran = neuroattn("reproduce", name, *words)
    assert ran.code == 0, ran.err
    result = json.loads(ran.path.read_text())
    found = {row["figure"]: row["found"] for row in result["figures"]}
    assert found.pop("verified.sentence", 0) is not None
    assert None not in found.values()
    assert {row["verdict"] for row in result["figures"]} == {"other data"}
