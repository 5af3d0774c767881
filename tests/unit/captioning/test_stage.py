from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neuroattn.captioning.stage import _draws_captioned
from neuroattn.core.artefact import Artefact
from neuroattn.features.store import FeatureStore
from neuroattn.generators.loading import load
from tests.chain import neuroattn, words
from tests.unit.captioning.speaker import saved, untrained
from tests.unit.generators.test_clip import folder  # noqa: F401 - a fixture


def _space(data: Path, root: Path, place: Path, *more: str) -> list[str]:
    return words(
        "caption", data, root, "backbone=space", f"backbone.model={place}",
        "backbone.image_size=32", "backbone.layers=[pooled]", "encoder=linear_cls",
        "caption.gate.threshold=0", "caption.gate.q=1", "caption.gate.min_ceiling=0",
        "caption.nulls=3", "caption.draws=2", *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def speaker(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    dim = load(folder).dim
    made = untrained(dim, ["a cat"], width=8)
    return saved(made, tmp_path_factory.mktemp("speaker") / "captioner", dim)


def test_a_linear_encoder_of_a_space_is_captioned_with_its_null_targets(
    tiny_data: Path,
    tmp_path: Path,
    folder: Path,  # noqa: F811
    speaker: Path,
) -> None:
    more = ("captioner=prefix_lm", f"captioner.model={speaker}", "captioner.length=6")
    ran = neuroattn(*_space(tiny_data, tmp_path, folder, *more))
    assert ran.code == 0, ran.err
    made = Artefact(ran.path)
    table = made.table("captions.tsv")
    assert table["null"].sum() >= 3
    assert set(table["target"]) == set(range(6)), "targets that are not captioned stand there too"
    assert (table["caption"].astype(str).str.len() > 0)[table["gated"] | table["null"]].all()
    assert table["confidence"].dropna().between(0, 1).all()
    shown = table[table["gated"] & ~table["null"]]
    assert len(shown), "nothing was let through"
    assert np.isfinite(shown[["effective", "best_cosine", "stability", "fit"]]).all(axis=None)
    rows, draws = made.table("rows.tsv"), made.table("draws.tsv")
    assert len(draws) == 2 * len(rows)
    with made.hdf5("embeddings.h5") as file:
        weights, natural = file["weight"][:], file["embedding"][:]
    assert len(weights) == len(rows)
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1, atol=1e-5)
    train = made.table("bank.tsv")["image"]
    store = FeatureStore(Artefact(next((tmp_path / "features").iterdir())))
    lengths = np.linalg.norm(store.read("raw", train)[:, 0].astype(float), axis=1)
    assert np.abs(lengths - 1).min() > 0.05, "the length of a CLIP's embeddings was lost"
    assert np.ptp(lengths) > 0
    found = np.linalg.norm(natural, axis=1)
    assert np.abs(found - 1).min() > 0.05
    assert (found >= lengths.min() - 1e-3).all()
    assert (found <= lengths.max() + 1e-3).all()
    assert store.layers == ["pooled"], "the encoder reads unit length"
    unit = store.read("pooled")[:, 0].astype(float)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=5e-3)
    encode = Artefact(next((tmp_path / "encode").iterdir()))
    with encode.hdf5("predictions.h5") as file:
        chosen = file["selection/r"][0]
    target = shown["target"].to_numpy()
    np.testing.assert_allclose(  # the mean over both folds has seen this fold's test images
        shown["measure"], chosen[target].clip(min=0) ** 2 / shown["nc"], rtol=1e-4
    )
    assert set(target) == set(np.flatnonzero(chosen > 0))
    folds = encode.table("folds.tsv")
    tested = folds[(folds["fold"] == 0) & (folds["side"] == "test")]["image"]
    assert not set(train) & set(tested), "a test picture in the bank"


def test_a_captioner_of_embeddings_refuses_an_encoder_without_a_space(
    tiny_data: Path, all_root: Path, speaker: Path
) -> None:
    ran = neuroattn(
        *words("caption", tiny_data, all_root, "captioner=prefix_lm", f"captioner.model={speaker}")
    )
    assert ran.code == 2
    assert "backbone=space encoder=linear_cls" in ran.err


@pytest.mark.parametrize(
    ("captioner", "asked", "kept"),
    [("prefix_lm", True, True), ("prefix_lm", False, False), ("nearest", True, False),
     ("vlm", True, False)],
)  # fmt: skip
def test_projections_onto_draws_are_kept_for_whom_reads_them(
    captioner: str, asked: bool, kept: bool
) -> None:
    job = SimpleNamespace(
        config=SimpleNamespace(draw_captions=asked), writer=SimpleNamespace(name=captioner)
    )
    assert _draws_captioned(job) is kept
