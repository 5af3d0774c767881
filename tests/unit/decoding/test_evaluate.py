"""The tables of the test side, from predictions and embeddings alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import DataError
from neuroattn.decoding.decoder_schemas import EvaluationConfig
from neuroattn.decoding.evaluate import ALL, Side, evaluate
from neuroattn.stats.retrieval import BRAIN_FROM_IMAGE, DIRECTIONS, IMAGE_FROM_BRAIN

COUNT, DIM = 60, 24


def side(subject: str = "subj01", noise: float = 1.3, seed: int = 0, shrink: float = 0.0) -> Side:
    rng = np.random.default_rng(seed)
    mean = 3 * rng.normal(size=DIM)
    training = mean + rng.normal(size=(150, DIM))
    target = mean + rng.normal(size=(COUNT, DIM))
    predicted = target + noise * rng.normal(size=target.shape)
    predicted = training.mean(0) + (1 - shrink) * (predicted - training.mean(0))
    centre = training.mean(0), training.mean(0)
    return Side(
        subject, np.arange(COUNT) + 100, predicted, target, centre, training, np.arange(150)
    )


def options(**more: object) -> EvaluationConfig:
    return EvaluationConfig(**{"permutations": 50, "bootstraps": 50, "draws": 5} | more)  # type: ignore[arg-type]


LABELS = {image + 100: ["cat" if image % 2 else "dog"] for image in range(COUNT)}


def test_one_subject_has_every_table() -> None:
    found = evaluate([side()], LABELS, options())
    assert set(found.tables) == {
        "retrieval.tsv", "nway.tsv", "queries.tsv", "nearest.tsv", "hard.tsv", "overlap.tsv",
    }  # fmt: skip
    table = found.tables["retrieval.tsv"]
    assert len(table) == 2 * 2 * 2
    row = table.query("centring == 'centred' and k == 1 and direction == @IMAGE_FROM_BRAIN").iloc[0]
    assert row["accuracy"] > 0.6 > row["chance"] == 1 / COUNT
    assert row["low"] < row["accuracy"] < row["high"]
    assert row["p"] == pytest.approx(1 / 51)
    assert found.metrics[f"retrieval.{IMAGE_FROM_BRAIN}.centred.top1"] == row["accuracy"]
    assert found.metrics[f"retrieval.{IMAGE_FROM_BRAIN}.raw.{COUNT}way"] == pytest.approx(
        found.metrics[f"retrieval.{IMAGE_FROM_BRAIN}.raw.top1"]
    )
    # Ranks of single queries give the table back.
    queries = found.tables["queries.tsv"]
    assert (queries[f"{IMAGE_FROM_BRAIN}_centred"] == 0).mean() == row["accuracy"]
    assert set(queries["third"]) == {0, 1, 2}


def test_several_subjects_stand_alone_and_together() -> None:
    sides = [side("subj01"), side("subj02", 2.5, 1)]
    table = evaluate(sides, {}, options()).tables["retrieval.tsv"]
    assert set(table["subject"]) == {"subj01", "subj02", ALL}
    best = table.query("centring == 'raw' and k == 1 and direction == @BRAIN_FROM_IMAGE")
    values = best.set_index("subject")["accuracy"]
    assert values[ALL] == pytest.approx((values["subj01"] + values["subj02"]) / 2)
    assert "hard.tsv" not in evaluate(sides, {}, options()).tables


def test_centring_by_training_means_helps_shrunken_predictions() -> None:
    metrics = evaluate([side(shrink=0.95, noise=0.3)], {}, options()).metrics
    for direction in DIRECTIONS:
        assert (
            metrics[f"retrieval.{direction}.centred.top1"]
            >= metrics[f"retrieval.{direction}.raw.top1"]
        )


def test_the_hard_gallery_stands_beside_a_random_one_of_its_size() -> None:
    table = evaluate([side()], LABELS, options(hard_ways=5)).tables["hard.tsv"]
    assert set(table["ways"]) == {5}
    assert (table["random"] > table["chance"]).all()
    assert (table["images"] == COUNT).all()


def test_pictures_of_a_gallery_begin_with_the_most_similar() -> None:
    table = evaluate([side()], {}, options(shown=4)).tables["nearest.tsv"]
    assert len(table) == 20
    for _, rows in table.groupby("query"):
        assert (np.diff(rows["similarity"]) <= 0).all()
        own = rows.loc[rows["image"] == rows["query"], "place"]
        rank = int(rows["query_rank"].iloc[0])
        assert (own.tolist() == [rank]) if rank <= 5 else own.empty


def test_pairs_that_do_not_fit_are_refused() -> None:
    good = side()
    with pytest.raises(DataError, match="do not pair"):
        Side("s", good.image[:-1], good.predicted, good.target)
    with pytest.raises(DataError, match="do not pair"):
        Side("s", np.zeros(COUNT, dtype=np.int64), good.predicted, good.target)
    with pytest.raises(DataError, match="another space"):
        Side("s", good.image, good.predicted[:, :5], good.target)
    with pytest.raises(DataError, match="nothing to retrieve"):
        evaluate([Side("s", good.image[:1], good.predicted[:1], good.target[:1])], {}, options())


def test_everything_can_be_recounted_from_the_file(tmp_path: Path) -> None:
    import h5py

    from neuroattn.core.artefact import ArtefactWriter
    from neuroattn.stats.retrieval import accuracy, cosine_similarity, ranks

    found = evaluate([side(), side("subj02", seed=1)], LABELS, options())
    writer = ArtefactWriter(tmp_path / "decode")
    found.write(writer)
    with h5py.File(tmp_path / "decode" / "retrieval.h5") as file:
        test = file["subj02/test"]
        matrix = test["similarity"][:]
        np.testing.assert_allclose(
            matrix, cosine_similarity(test["brain"][:], test["image"][:]), atol=1e-6
        )
        table = found.tables["retrieval.tsv"].query("subject == 'subj02' and k == 1")
        raw = table[table["centring"] == "raw"].set_index("direction")["accuracy"]
        for direction, rank in ranks(matrix).items():
            assert raw[direction] == accuracy(rank)
    assert BRAIN_FROM_IMAGE in set(raw.index)
