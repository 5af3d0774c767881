"""The transformer readout through the stage ``encode``: payload, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ArtefactError, ConfigError, DataError
from neuroattn.core.stage import StageContext
from neuroattn.core.tables import read_tsv
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import SplitConfig, SplitKind
from neuroattn.encoding import budget, stage
from neuroattn.encoding.attention_readout import AttentionReadout
from neuroattn.encoding.readout import read_model
from neuroattn.encoding.registry import AttentionConfig, QueryKind
from neuroattn.encoding.start import Start
from neuroattn.features.store import FeatureStore
from neuroattn.training.registry import TrainingConfig
from tests import chain

from .conftest import TARGETS, finish

Contexts = Callable[..., StageContext]
ONE = SplitConfig(kind=SplitKind.random)


def small(**keys: Any) -> AttentionConfig:
    settings = {"layers": ["early"], "heads": 2, "hidden": 4, "dim": 4} | keys
    return AttentionConfig(training=TrainingConfig(epochs=1), **settings)


@pytest.mark.parametrize("kind", list(QueryKind))
def test_every_kind_of_query_leaves_maps_under_its_names(
    context_for: Contexts, kind: QueryKind
) -> None:
    """Kinds with a single group as well: the public code's default could not run."""
    if kind is QueryKind.streams:
        return  # no target is in a stream: see below
    context = context_for("a", encoder=small(queries=kind, parcel_size=1), split=ONE)
    context.config.scoring.attention_heads = True
    try:
        stage.run(context)
    except (TypeError, ValueError) as error:
        pytest.fail(f"{kind.value} cannot be fitted: {error}")
    regions = ["lh.V1", "lh.V2", "lh.rest", "rh.V1", "rh.V2", "rh.V4", "rh.rest"]
    names = {
        QueryKind.one: ["all"],
        QueryKind.hemispheres: ["lh", "rh"],
        QueryKind.free: [f"free-{index}" for index in range(16)],
        QueryKind.rois: regions,
        QueryKind.targets: regions,
        QueryKind.parcels: [f"{side}.parcel-{n:04d}" for side in ("lh", "rh") for n in range(3)],
    }[kind]  # fmt: skip
    with h5py.File(context.out.folder / "attention.h5") as file:
        fold = file["fold-0"]
        assert list(fold.attrs["queries"]) == list(file.attrs["queries"])
        assert sorted(fold.attrs["queries"]) == sorted(names)
        maps, heads = fold["attention"][:], fold["attention_heads"][:]
        similarity = fold["similarity"][:]
    assert heads.shape == (3, 2, len(names), 4)
    np.testing.assert_allclose(heads.astype(float).mean(1), maps, atol=2e-3)
    np.testing.assert_allclose(np.diag(similarity), 1, rtol=1e-5)
    table = read_tsv(context.out.folder / "queries.tsv")
    assert sorted(table["query"]) == sorted(names)
    assert table["entropy"].between(0, 1.0001).all()
    assert "rf_x_deg" not in table, "nobody said how large the pictures were"


def test_heads_are_kept_on_request_alone(context_for: Contexts) -> None:
    context = context_for("a", encoder=small(), split=ONE)
    stage.run(context)
    with h5py.File(context.out.folder / "attention.h5") as file:
        assert "attention_heads" not in file["fold-0"]


def test_degrees_of_the_dataset_reach_the_table(
    context_for: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_for("a", encoder=small(), split=ONE)
    about = {"name": "fabricated", "simulated": True, "degrees": 8.4}
    monkeypatch.setattr(Prepared, "description", about)
    stage.run(context)
    table = read_tsv(context.out.folder / "queries.tsv")
    np.testing.assert_allclose(table["rf_x_deg"], 4.2 * table["rf_x"])
    np.testing.assert_allclose(table["rf_y_deg"], -4.2 * table["rf_y"])


def test_parcels_do_not_know_the_test_responses(context_for: Contexts) -> None:
    def plan_of(name: str, change: Any) -> Any:
        config = small(queries=QueryKind.parcels, parcels=2, parcel_size=1)
        context = context_for(name, encoder=config, split=ONE, change=change)
        stage.run(context)
        folder = context.out.folder
        folds = read_tsv(folder / "folds.tsv")
        return json.loads((folder / "fold-0/model.json").read_text())["plan"], set(
            folds.loc[folds["side"] == "test", "image"]
        )

    before, tested = plan_of("a", lambda trials, responses: responses)

    def spoiled(trials: pd.DataFrame, responses: Any) -> Any:
        rows = trials["image"].isin(tested).to_numpy()
        noise = np.random.default_rng(3).normal(size=responses.shape) * 50
        return np.where(rows[:, None], noise, responses).astype(np.float32)

    after, _ = plan_of("b", spoiled)
    assert before == after


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"rois": ["PPA"]}, ["PPA", "V1 | V2 | V4"]),
        ({"queries": QueryKind.streams}, ["no target is in a stream", "midventral"]),
        ({"atlas": "somewhere.tsv"}, ["an atlas is given", "encoder.queries=parcels"]),
        ({"heads": 3}, ["divide"]),
    ],
)
def test_queries_that_nothing_reads_are_refused(
    context_for: Contexts, keys: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        stage.run(context_for("a", encoder=small(**keys), split=ONE))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("kind", [QueryKind.parcels, QueryKind.targets])
def test_queries_of_single_fits_are_shared_with_no_other_subject(kind: QueryKind) -> None:
    config = small(queries=kind)
    assert not AttentionReadout(config).joint
    assert AttentionReadout(small(queries=QueryKind.free)).joint
    nothing: Any = None
    with pytest.raises(ConfigError, match="belong to the targets"):
        Start(artefact=nothing, features=nothing, digests={}).check(config)


def test_targets_that_were_never_measured_are_refused(context_for: Contexts) -> None:
    def absent(trials: pd.DataFrame, responses: Any) -> Any:
        return np.where(np.arange(TARGETS) == 2, np.nan, responses).astype(np.float32)

    with pytest.raises(DataError, match="not all finite") as caught:
        stage.run(context_for("a", encoder=small(), split=ONE, change=absent))
    assert "1 targets" in str(caught.value)


def test_features_of_other_images_are_refused(
    context_for: Contexts, tiny_data: Path, tiny_root: Path
) -> None:
    others: Any = FeatureStore(chain.build("features", tiny_data, tiny_root))
    context = context_for("a", encoder=small(layers=None), split=ONE, features=others)
    with pytest.raises(DataError, match="images without features"):
        stage.run(context)


def test_what_memory_cannot_hold_is_refused_with_the_setting_that_fits(
    context_for: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "available", lambda device: 60_000.0)
    with pytest.raises(ConfigError, match="more memory") as caught:
        stage.run(context_for("a", encoder=small(), split=ONE))
    size = str(caught.value).partition("encoder.training.batch_size=")[2].split()[0]
    fits = small()
    fits.training.batch_size = int(size)
    stage.run(context_for("b", encoder=fits, split=ONE))
    fits.training.batch_size = int(size) + 1
    with pytest.raises(ConfigError, match="more memory"):
        stage.run(context_for("c", encoder=fits, split=ONE))


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.update(extra=1),
        lambda about: about.pop("shapes"),
        lambda about: about.update(readout="gaussian_rf"),
        lambda about: about["plan"].clear(),
        lambda about: about["shapes"]["early"].update(channels=9),
        lambda about: about["plan"]["queries"].pop("group"),
    ],
)
def test_a_model_of_another_schema_is_refused(
    context_for: Contexts, change: Callable[[Any], Any]
) -> None:
    config = small()
    context = context_for("a", encoder=config, split=ONE)
    stage.run(context)
    path = context.out.folder / "fold-0/model.json"
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))
    artefact = finish(context.out, "encode")
    with pytest.raises(ArtefactError, match="stored in another form") as caught:
        read_model(config, artefact, "fold-0")
    assert "fold-0" in str(caught.value)
