"""Several subjects in one encode artefact: one by one, together, and from a routing that exists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.errors import ConfigError, DataError, LeakError
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.sections import Device, RuntimeConfig
from neuroattn.core.stage import StageContext
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import (
    ArraysConfig,
    CeilingConfig,
    Normalise,
    ResponsesMode,
    SplitConfig,
    SplitKind,
)
from neuroattn.data.store import Moments, session_codes
from neuroattn.data.subject_store import store_name
from neuroattn.encoding import stage
from neuroattn.encoding.readout import read_model
from neuroattn.encoding.registry import (
    AttentionConfig,
    EncoderConfig,
    Norm,
    RidgeConfig,
    ScoringConfig,
    Subjects,
)
from neuroattn.features.registry import BackboneConfig
from neuroattn.training.registry import OptimiserConfig, TrainingConfig
from neuroattn.training.tracking import Silent

from .conftest import IMAGES, Store, finish

SEEN = {"b": np.arange(10, 50), "a": np.arange(40, 70)}  # ten images are shared
TARGETS = {"b": 5, "a": 3}
Array = np.ndarray[Any, Any]


def trials_of(subject: str) -> pd.DataFrame:
    images = SEEN[subject]
    image = np.repeat(images, 1 + images % 2)
    frame = pd.DataFrame({"image": image, "subject": subject, "session": 1, "run": 1})
    frame["trial"], frame["repeat"] = range(len(image)), frame.groupby("image").cumcount() + 1
    return frame[["trial", "subject", "session", "run", "image", "repeat"]]


def responses_of(store: Store, subject: str, trials: pd.DataFrame) -> Array:
    rng = np.random.default_rng(TARGETS[subject])
    x = store.values["early"].reshape(IMAGES, -1).astype(np.float64)
    signal = x @ rng.normal(size=(x.shape[1], TARGETS[subject]))
    y = signal[trials["image"].to_numpy() - 10]
    return (y + 0.3 * rng.normal(size=y.shape) + 3).astype(np.float32)


def targets_of(subject: str) -> pd.DataFrame:
    count = TARGETS[subject]
    return pd.DataFrame(
        {
            "target": range(count), "subject": subject,
            "hemisphere": (["lh", "rh"] * count)[:count], "vertex": range(count),
            "rois": (["V1", "V1", "V2", "V2|V4", ""])[:count],
        }
    )  # fmt: skip


def write_store(out: ArtefactWriter, subject: str, trials: pd.DataFrame, values: Array) -> None:
    codes = session_codes(trials)
    moments = Moments(int(codes.max()) + 1, values.shape[1])
    moments.add(values, codes)
    name = (lambda file: store_name(file, subject)) if subject else (lambda file: file)
    with out.hdf5(name("responses.h5")) as file:
        add_dataset(file, "responses", values)
    with out.hdf5(name("sessions.h5")) as file:
        add_dataset(file, "mean", moments.mean())
        add_dataset(file, "scale", moments.scale())
        add_dataset(file, "count", moments.count)


Change = Callable[[pd.DataFrame, Array], Array]


def write_prepared(folder: Path, store: Store, subjects: list[str], change: Change) -> Artefact:
    """A finished ``prepare`` artefact of these subjects; one alone has the files of one."""
    folder.mkdir(parents=True)
    out = ArtefactWriter(folder)
    trials = {name: trials_of(name) for name in subjects}
    for name in subjects:
        values = change(trials[name], responses_of(store, name, trials[name]))
        write_store(out, name if len(subjects) > 1 else "", trials[name], values)
    frames = {
        "trials": pd.concat(trials.values(), ignore_index=True),
        "targets": pd.concat([targets_of(name) for name in subjects], ignore_index=True),
    }
    for name, frame in frames.items():
        out.table(f"{name}.tsv", frame.assign(**{name[:-1]: range(len(frame))}))
    images = np.unique(frames["trials"]["image"])
    digests = [f"{image:064x}" for image in images]
    table = {"image": images, "file": "x", "sha256": digests, "source": ""}
    out.table("images.tsv", pd.DataFrame(table))
    out.json("dataset.json", {"name": "fabricated", "simulated": True})
    out.json("splits.json", {})
    out.json("captions.json", {})
    return finish(out, "prepare")


def attention(**keys: Any) -> AttentionConfig:
    training = TrainingConfig(epochs=keys.pop("epochs", 1), optimiser=OptimiserConfig(lr=1e-2))
    keys = {"layers": ["early"], "heads": 1, "hidden": 0, "dim": 4, "selection": 0.2} | keys
    return AttentionConfig(norm=Norm.none, training=training, **keys)


RIDGE = RidgeConfig(alpha_min=1e-2, alpha_max=1e2, n_alphas=3, inner_folds=2)


@pytest.fixture
def encode(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Artefact, Any]]:
    """Run ``encode``: ``encode("name", ["a", "b"], encoder, …)`` gives (artefact, result)."""
    monkeypatch.setattr(stage, "open_features", lambda own, also: store)
    monkeypatch.setattr(stage, "shown_pictures", lambda *_: {})  # there are none

    def run(
        name: str,
        subjects: list[str],
        encoder: EncoderConfig = RIDGE,
        *,
        mode: ResponsesMode = ResponsesMode.mean,
        split: SplitConfig | None = None,
        normalise: Normalise = Normalise.none,
        ceiling: CeilingConfig | None = None,
        change: Change = lambda _, values: values,
        start: Artefact | None = None,
    ) -> tuple[Artefact, Any]:
        prepared = write_prepared(tmp_path / "prepare" / f"{name}-0", store, subjects, change)
        out = ArtefactWriter(tmp_path / "encode" / f"{name}-0")
        out.folder.mkdir(parents=True)
        config = SimpleNamespace(
            encoder=encoder,
            backbone=BackboneConfig(),
            dataset=ArraysConfig(
                responses=mode,
                split=split or SplitConfig(kind=SplitKind.kfold, folds=2),
                normalise=normalise,
                ceiling=ceiling or CeilingConfig(),
            ),
            runtime=RuntimeConfig(device=Device.cpu),
            scoring=ScoringConfig(permutations=19, bootstraps=20, attention_images=3),
        )
        tracker: Any = Silent()
        parents = {"prepare": prepared, "features": features_of(tmp_path)}
        if start is not None:
            parents["start"] = start
        context = StageContext(
            config=config, parents=parents, out=out, tracker=tracker, seed=0, fingerprint="0" * 64
        )
        result = stage.run(context)
        labels = {key: {"label": parent.label} for key, parent in parents.items()}
        write_json(out.folder / "inputs.json", labels)
        keys = {key: value for key, value in vars(encoder).items() if key != "training"}
        write_json(out.folder / "config.yaml", {"encoder": plain_values(keys)})
        return finish(out, "encode", result.metrics), result

    return run


def plain_values(keys: dict[str, Any]) -> dict[str, Any]:
    return {key: getattr(value, "value", value) for key, value in keys.items()}


def features_of(root: Path) -> Artefact:
    folder = root / "features" / "f-0"
    if not folder.exists():
        folder.mkdir(parents=True)
        return finish(ArtefactWriter(folder), "features")
    return Artefact(folder)


def bytes_of(artefact: Artefact, name: str) -> bytes:
    return artefact.path(name).read_bytes()


def own_rows(artefact: Artefact, table: str, subject: str) -> pd.DataFrame:
    frame = artefact.table(table)
    own = frame[frame["subject"] == subject].reset_index(drop=True)
    return own.drop(columns=["subject"])


@pytest.mark.parametrize("mode", list(ResponsesMode))
@pytest.mark.parametrize("normalise", [Normalise.none, Normalise.session_train])
def test_a_readout_of_one_design_fits_each_subject_as_if_alone(
    encode: Callable[..., Any], mode: ResponsesMode, normalise: Normalise
) -> None:
    split = SplitConfig(kind=SplitKind.random, test_fraction=0.3)
    both, result = encode("both", ["b", "a"], mode=mode, normalise=normalise, split=split)
    assert result.metrics["subject.a.r"] > 0.8
    test = both.table("folds.tsv").query("side == 'test'")["image"]
    for name in ("a", "b"):
        # The split of both is given to one alone, which would draw another.
        own = [int(image) for image in SEEN[name] if image in set(test)]
        rest = [int(image) for image in SEEN[name] if image not in set(test)]
        file = both.folder / f"{name}.json"
        write_json(file, {"train": rest, "test": own})
        same = SplitConfig(kind=SplitKind.file, file=str(file))
        alone, _ = encode(name, [name], mode=mode, normalise=normalise, split=same)
        expected = alone.table("scores.tsv").drop(columns="target")
        found = own_rows(both, "scores.tsv", name).drop(columns="target")
        # The inner folds of the ridge are drawn by the name of the fold, which differs.
        pd.testing.assert_frame_equal(
            found[["rois", "hemisphere", "nc", "n_images"]],
            expected[["rois", "hemisphere", "nc", "n_images"]],
        )
        assert found["r"].to_numpy() == pytest.approx(expected["r"].to_numpy(), abs=0.05)


def test_tables_name_the_subject_and_predictions_have_gaps(encode: Callable[..., Any]) -> None:
    both, result = encode("both", ["b", "a"])
    prepared = Prepared(Artefact(both.folder.parent.parent / "prepare" / "both-0"))
    scores = both.table("scores.tsv")
    assert scores["subject"].tolist() == ["b"] * 5 + ["a"] * 3
    assert scores["target"].tolist() == list(range(8))
    assert scores["r"].notna().all()
    regions = both.table("rois.tsv")
    assert regions["subject"].unique().tolist() == ["all subjects", "b", "a"]
    whole = regions[regions["subject"] == "all subjects"].set_index("roi")
    assert whole.loc["all targets", "n_targets"] == 8
    assert whole.loc["all targets", "r"] == pytest.approx(scores["r"].mean())
    assert (whole["r_low"] <= whole["r"]).all()
    assert result.metrics["test.r"] == pytest.approx(scores["r"].mean())
    with both.hdf5("predictions.h5") as file:
        images, predicted = file["test/image"][:], file["test/predicted"][:]
        measured = file["test/measured"][:]
    assert sorted(images) == list(range(10, 70))
    np.testing.assert_array_equal(measured, prepared.image_responses(images))
    np.testing.assert_array_equal(np.isnan(predicted), np.isnan(measured))
    folds = both.table("folds.tsv")
    assert (folds["side"] == "test").sum() == 60
    assert "2 subjects were fitted one by one" in result.methods
    assert both.has("fold-0-a/model.json")


@pytest.mark.parametrize("how", list(Subjects))
def test_together_or_apart_every_target_is_scored(
    encode: Callable[..., Any], how: Subjects, store: Store
) -> None:
    both, result = encode(
        "both", ["b", "a"], attention(subjects=how), normalise=Normalise.session_train,
        ceiling=CeilingConfig(select=0.001),
    )  # fmt: skip
    scores = both.table("scores.tsv")
    assert len(scores) == 8
    joint = how is Subjects.shared
    assert both.has("fold-1/model.json") is joint
    assert both.has("attention.h5") is joint
    assert both.has("attention-a.h5") is not joint
    assert ("fitted together" in result.methods) is joint
    if joint:
        with both.hdf5("predictions.h5") as file:
            rows = file["test/fold"][:] == 1
            images, predicted = file["test/image"][:][rows], file["test/predicted"][:][rows]
        found = read_model(attention(), both, "fold-1").predict(store, images)
        chosen = ~np.isnan(predicted).all(0)
        seen = ~np.isnan(predicted[:, chosen])
        np.testing.assert_allclose(found[seen], predicted[:, chosen][seen], atol=1e-5)


@pytest.mark.parametrize("how", list(Subjects))
def test_no_subject_is_trained_on_what_another_is_tested_on(
    encode: Callable[..., Any], how: Subjects
) -> None:
    split = SplitConfig(kind=SplitKind.random)
    first, _ = encode("first", ["b", "a"], attention(subjects=how), split=split)
    held = first.table("folds.tsv").query("side == 'test'")["image"].to_numpy()
    assert np.isin(held, SEEN["a"]).any()
    assert np.isin(held, np.intersect1d(SEEN["a"], SEEN["b"])).any()

    def noise(trials: pd.DataFrame, values: Array) -> Array:
        rows = trials["image"].isin(held).to_numpy()
        values[rows] = 1000 * np.random.default_rng(3).normal(size=(rows.sum(), values.shape[1]))
        return values

    second, _ = encode("second", ["b", "a"], attention(subjects=how), split=split, change=noise)
    models = [name for name in first.files if name.endswith("model.safetensors")]
    assert len(models) == (1 if how is Subjects.shared else 2)
    for name in models:
        assert bytes_of(first, name) == bytes_of(second, name)


def test_smaller_draws_are_part_of_larger_ones(encode: Callable[..., Any]) -> None:
    drawn = {}
    for count in (8, 4):
        encoder = RidgeConfig(n_alphas=2, inner_folds=2, images=count)
        artefact, result = encode(f"draw{count}", ["b", "a"], encoder)
        folds = artefact.table("folds.tsv").query("fold == 0 and side == 'train'")
        drawn[count] = set(folds["image"])
        assert f"{count} training images" in result.methods
    assert drawn[4] < drawn[8]
    assert 8 <= len(drawn[8]) <= 16
    with pytest.raises(ConfigError, match="fewer training images"):
        encode("many", ["a"], RidgeConfig(images=40))


def test_a_subject_without_test_images_is_refused(
    encode: Callable[..., Any], tmp_path: Path
) -> None:
    split = given(tmp_path / "s.json", range(15, 70), range(10, 15))
    with pytest.raises(DataError, match="a has too few images"):
        encode("both", ["b", "a"], split=split)


def given(file: Path, train: range, test: range) -> SplitConfig:
    write_json(file, {"train": [*train], "test": [*test]})
    return SplitConfig(kind=SplitKind.file, file=str(file))


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_a_new_subject_takes_over_the_routing(
    encode: Callable[..., Any], tmp_path: Path, rate: float
) -> None:
    theirs = given(tmp_path / "b.json", range(10, 40), range(40, 50))
    first, _ = encode("first", ["b"], attention(), split=theirs)
    mine = given(tmp_path / "a.json", range(50, 70), range(40, 50))
    config = attention(images=12, start_lr=rate, start="first-0", epochs=2)
    second, result = encode("second", ["a"], config, split=mine, start=first)
    assert "routing was taken over from the encoder first-0" in result.methods
    models = [read_model(attention(), artefact, "fold-0") for artefact in (first, second)]
    before, after = (model.network.state_dict() for model in models)
    routing = [name for name in before if "router" in name or "project" in name]
    assert len(routing) > 5
    same = [torch.equal(before[name], after[name]) for name in routing]
    assert all(same) if rate == 0 else not all(same)
    assert torch.equal(before["front.mean0"], after["front.mean0"])
    assert models[1].queries == models[0].queries
    assert (second.table("folds.tsv")["side"] == "train").sum() == 12


def test_a_routing_that_saw_the_test_pictures_is_refused(
    encode: Callable[..., Any], tmp_path: Path
) -> None:
    first, _ = encode("first", ["b"], attention())  # two folds, which see all images of b
    config = attention(start="first-0")
    mine = given(tmp_path / "a.json", range(50, 70), range(40, 50))
    with pytest.raises(LeakError, match="trained on test pictures"):
        encode("second", ["a"], config, split=mine, start=first)
    other = attention(start="first-0", dim=6)
    with pytest.raises(ConfigError, match=r"another encoder\.dim"):
        encode("third", ["a"], other, split=mine, start=first)
