"""The stage ``decode`` as a whole: payload, leaks, resumption, bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import ConfigError, DataError, LeakError
from neuroattn.core.sections import Device, RuntimeConfig
from neuroattn.core.stage import StageContext
from neuroattn.core.tables import read_tsv
from neuroattn.data.registry import ArraysConfig, Normalise, ResponsesMode, SplitConfig, SplitKind
from neuroattn.decoding import stage
from neuroattn.decoding.decoder_schemas import (
    Average,
    DecoderConfig,
    EvaluationConfig,
    InputConfig,
    LossConfig,
    LossKind,
    Negatives,
    Pool,
    Reduce,
    RidgeDecoderConfig,
    SelectionConfig,
    TargetConfig,
    training,
)
from neuroattn.decoding.network_schemas import RidgeMlpConfig
from neuroattn.decoding.prior_schemas import (
    FusionPriorConfig,
    NoPriorConfig,
    ReliabilityPriorConfig,
    UbpPriorConfig,
    UniformPriorConfig,
)
from neuroattn.decoding.registry import check_prior
from neuroattn.training.tracking import Silent
from tests.unit.encoding.conftest import Store, responses_of, trials_of, write_prepared

IMAGES = 60
Contexts = Callable[..., StageContext]
EVALUATION = EvaluationConfig(permutations=19, bootstraps=20)


class Features(Store):
    """Reads like a `FeatureStore` without blur."""

    blur: dict[str, Any] = {}  # noqa: RUF012
    levels = {0.0: ""}  # noqa: RUF012
    artefact = SimpleNamespace(folder=Path("features"), label="features-x", fingerprint="f" * 64)


def ridge(**keys: Any) -> RidgeDecoderConfig:
    return RidgeDecoderConfig(n_alphas=5, evaluation=EVALUATION, **keys)


def mlp(**keys: Any) -> RidgeMlpConfig:
    brief = replace(training(3e-3, 2, 16), checkpoint_every=2)
    given = {"hidden": 16, "blocks": 1, "training": brief, "evaluation": EVALUATION} | keys
    return RidgeMlpConfig(**given)


@pytest.fixture
def context_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contexts:
    monkeypatch.setattr(stage, "FeatureStore", lambda store: store)

    def make(
        name: str,
        decoder: DecoderConfig,
        *,
        mode: ResponsesMode = ResponsesMode.mean,
        change: Callable[[pd.DataFrame, NDArray[Any]], NDArray[Any]] = lambda _, values: values,
        features: Store | None = None,
        prior: Any = None,
    ) -> StageContext:
        trials = trials_of(1 + np.arange(IMAGES) % 3)
        folder, out = tmp_path / f"prepare-{name}", tmp_path / f"decode-{name}"
        folder.mkdir(exist_ok=True)
        out.mkdir(exist_ok=True)
        given = features or Features()
        responses = change(trials, responses_of(Store(), trials))
        config = SimpleNamespace(
            decoder=decoder,
            prior=prior or NoPriorConfig(),
            dataset=ArraysConfig(
                responses=mode, split=SplitConfig(kind=SplitKind.random), normalise=Normalise.none
            ),
            runtime=RuntimeConfig(device=Device.cpu),
        )
        parents: dict[str, Any] = {
            "prepare": write_prepared(folder, trials, responses), "features": given,
        }  # fmt: skip
        tracker: Any = Silent()
        return StageContext(
            config=config, parents=parents, out=ArtefactWriter(out), tracker=tracker, seed=0,
            fingerprint="0" * 64,
        )  # fmt: skip

    return make


EARLY = TargetConfig(layers=["early"], pool=Pool.tokens)


def bytes_of(context: StageContext, names: list[str]) -> dict[str, bytes]:
    return {name: (context.out.folder / name).read_bytes() for name in names}


FITTED = ["model.safetensors", "input.safetensors", "space.safetensors", "space.json"]


def test_payload_and_metrics_agree(context_for: Contexts) -> None:
    context = context_for("a", ridge(target=EARLY))
    result = stage.run(context)
    folder = context.out.folder
    with h5py.File(folder / "retrieval.h5") as file:
        similarity, ids = file["test/similarity"][:], file["test/image_id"][:]
        brains, pictures = file["test/brain"][:], file["test/image"][:]
    length = np.linalg.norm(brains, axis=1, keepdims=True)
    np.testing.assert_allclose(similarity, brains / length @ pictures.T, atol=1e-5)
    first = (similarity.argmax(1) == np.arange(len(ids))).mean()
    name = "retrieval.image_from_brain.raw.top1"
    assert result.metrics[name] == pytest.approx(first)
    assert first > 4 / len(ids), "planted brains are found"
    assert result.metrics["test.images"] == len(ids) == 12
    assert result.metrics["train.images"] == 48
    scores = read_tsv(folder / "scores.tsv")
    assert (scores["sensitivity"] > 0).all()
    assert "ridge regression" in result.methods
    with h5py.File(folder / "embeddings.h5") as file:
        group = file["subject-0"]
        np.testing.assert_array_equal(group["image"][:], ids)
        assert group.attrs["subject"] == "s1"
        assert '"early"' in group.attrs["space"]
        assert group["trials"].shape == (12, 3)


@pytest.mark.parametrize("kind", ["ridge", "mlp"])
def test_garbage_on_the_test_side_changes_nothing_that_was_fitted(
    kind: str, context_for: Contexts
) -> None:
    given = InputConfig(projection=Reduce.pca, components=4)
    config = (ridge if kind == "ridge" else mlp)(target=EARLY, input=given)
    first = context_for("a", config)
    stage.run(first)
    with h5py.File(first.out.folder / "retrieval.h5") as file:
        held_out = file["test/image_id"][:]

    def noise(trials: pd.DataFrame, values: NDArray[Any]) -> NDArray[Any]:
        rows = trials["image"].isin(held_out).to_numpy()
        values[rows] = 1000 * np.random.default_rng(3).normal(size=(rows.sum(), values.shape[1]))
        return values

    loud = Features()
    for values in loud.values.values():
        values[held_out - 10] *= 50
    second = context_for("b", config, change=noise, features=loud)
    stage.run(second)
    assert bytes_of(first, FITTED) == bytes_of(second, FITTED)
    assert bytes_of(first, ["retrieval.h5"]) != bytes_of(second, ["retrieval.h5"])


def test_a_killed_stage_ends_at_the_same_bytes(
    context_for: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = mlp(target=EARLY)
    whole = context_for("a", config, mode=ResponsesMode.single)
    stage.run(whole)
    context = context_for("b", config, mode=ResponsesMode.single)

    class Killed(Exception):
        pass

    class Dies:
        rows = 0

        def log(self, metrics: dict[str, float], *, step: int) -> None:
            self.rows += 1
            if self.rows == 2:
                raise Killed

    monkeypatch.setattr(context, "tracker", Dies())
    with pytest.raises(Killed):
        stage.run(context)
    monkeypatch.setattr(context, "tracker", Silent())
    stage.run(context)
    names = [*FITTED, "retrieval.tsv", "scores.tsv", "training/curves.tsv"]
    assert bytes_of(whole, names) == bytes_of(context, names)


def test_embeddings_may_be_averaged_in_place_of_responses(context_for: Contexts) -> None:
    linear = ridge(target=EARLY)
    stage.run(first := context_for("a", linear))
    other = replace(linear, evaluation=replace(EVALUATION, average=Average.embeddings))
    stage.run(second := context_for("b", other))
    assert bytes_of(first, FITTED) == bytes_of(second, FITTED)
    brains = []
    for context in (first, second):
        with h5py.File(context.out.folder / "retrieval.h5") as file:
            brains.append(file["test/brain"][:])
    gap = brains[0] - brains[1]
    assert 0 < np.abs(gap).max() < 1


@pytest.mark.parametrize("split", ["test", "TEST"])
def test_the_test_side_cannot_choose(split: str, context_for: Contexts) -> None:
    config = mlp(selection=SelectionConfig(split=split))
    with pytest.raises(LeakError, match="is the test split"):
        stage.run(context_for("a", config))
    with pytest.raises(ConfigError, match="no such split"):
        stage.run(context_for("b", mlp(selection=SelectionConfig(split="validation"))))


def test_a_split_that_holds_test_images_cannot_choose(
    context_for: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_for("a", mlp(selection=SelectionConfig(split="other")))
    monkeypatch.setattr(
        stage.Prepared, "splits", {"other": {"train": [], "test": list(range(10, 70))}}
    )
    with pytest.raises(LeakError, match="is the test split"):
        stage.run(context)


def test_trials_without_embeddings_are_refused(context_for: Contexts) -> None:
    few = Features()
    few.images = few.images[:-3]
    with pytest.raises(DataError, match="trials without the embedding"):
        stage.run(context_for("a", ridge(), features=few))


def test_a_fold_that_is_not_there_is_refused(context_for: Contexts) -> None:
    with pytest.raises(ConfigError, match="no such fold"):
        stage.run(context_for("a", ridge(fold=1)))


class Blurred(Features):
    """A second level, in which the second half of the numbers is gone."""

    blur = {"kind": "uniform"}  # noqa: RUF012
    levels = {0.0: "", 8.0: "uniform"}  # noqa: RUF012

    def read(self, layer: str, images: Any = None, strength: float = 0.0) -> NDArray[Any]:
        found = super().read(layer, images)
        return found * np.where(np.arange(found.shape[2]) < 2, 1, 1 - strength / 8)


def test_the_overlap_with_training_is_of_pictures_as_shown(
    context_for: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage._Job, "keep_prior", lambda *_: {})  # there are no picture files
    found = {}
    for name, prior in (("none", NoPriorConfig()), ("blur", UniformPriorConfig(strength=8.0))):
        context = context_for(name, ridge(target=EARLY), features=Blurred(), prior=prior)
        stage.run(context)
        with h5py.File(context.out.folder / "retrieval.h5") as file:
            pictures = file["test/image"][:]
        found[name] = pictures, read_tsv(context.out.folder / "queries.tsv")
    assert not np.allclose(found["none"][0], found["blur"][0])
    columns = ["image", "nearest", "nearest_image", "third"]
    pd.testing.assert_frame_equal(found["none"][1][columns], found["blur"][1][columns])


def test_a_closed_form_takes_no_prior_that_learns() -> None:
    for learns in (UbpPriorConfig(), FusionPriorConfig()):
        with pytest.raises(ConfigError, match="closed form") as caught:
            check_prior(SimpleNamespace(prior=learns, decoder=ridge()))
        assert "uniform, lowres, fovea, reliability" in str(caught.value)
        check_prior(SimpleNamespace(prior=learns, decoder=mlp()))
    check_prior(SimpleNamespace(prior=UniformPriorConfig(), decoder=ridge()))


def test_all_training_images_are_negatives_in_one_blur_alone() -> None:
    bank = mlp(loss=LossConfig(negatives=Negatives.bank))
    for moves in (UbpPriorConfig(), FusionPriorConfig(), ReliabilityPriorConfig()):
        with pytest.raises(ConfigError, match="no one blur") as caught:
            check_prior(SimpleNamespace(prior=moves, decoder=bank))
        assert "none, uniform, lowres, fovea beside" in str(caught.value)
    check_prior(SimpleNamespace(prior=UniformPriorConfig(), decoder=bank))


@pytest.mark.parametrize("mixed", [{"kind": LossKind.bimixco}, {"mixco_until": 1.0}], ids=str)
def test_a_prior_that_would_learn_nothing_is_refused(mixed: dict[str, Any]) -> None:
    def pair(prior: Any, **keys: Any) -> SimpleNamespace:
        return SimpleNamespace(prior=prior, decoder=mlp(loss=LossConfig(**mixed | keys)))

    with pytest.raises(ConfigError, match="trials that are not mixed"):
        check_prior(pair(UbpPriorConfig(), mixco_share=1.0))
    check_prior(pair(ReliabilityPriorConfig(), mixco_share=1.0))
    check_prior(pair(UbpPriorConfig()))
