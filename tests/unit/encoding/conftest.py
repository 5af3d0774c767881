"""A fabricated dataset with features in memory, and the stage's context around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.sections import Device, RuntimeConfig
from neuroattn.core.stage import StageContext
from neuroattn.data.prepared import NCSNR
from neuroattn.data.registry import (
    ArraysConfig,
    CeilingConfig,
    Normalise,
    ResponsesMode,
    SplitConfig,
    SplitKind,
)
from neuroattn.data.store import Moments, session_codes
from neuroattn.encoding import stage
from neuroattn.encoding.registry import EncoderConfig, RidgeConfig, ScoringConfig
from neuroattn.features.registry import EfficientNetLiteConfig
from neuroattn.training.tracking import Silent

Array = np.ndarray[Any, Any]
IMAGES, TARGETS, DIM = 60, 6, 3


class Store:
    """Features in memory; image ids are 10, 11, …, so that an id is never a row.

    Both layers say the same; together they have more features than there are images.
    """

    def __init__(self, images: int = IMAGES, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.layers = ["early", "late"]
        self.images = np.arange(10, 10 + images)
        early = rng.normal(size=(images, 4 * DIM))
        late = early @ rng.normal(size=(4 * DIM, 80))
        self.values = {
            "early": early.reshape(images, 4, DIM).astype(np.float16),
            "late": late.reshape(images, 2, 40).astype(np.float16),
        }

    def shape(self, layer: str) -> tuple[int, int, int]:
        images, tokens, dim = self.values[layer].shape
        return images, tokens, dim

    def read(self, layer: str, images: Any = None) -> Array:
        rows = slice(None) if images is None else np.asarray(images) - 10
        return self.values[layer][rows].copy()


@pytest.fixture
def store() -> Store:
    return Store()


def trials_of(repeats: Array) -> pd.DataFrame:
    image = np.repeat(np.arange(10, 10 + len(repeats)), repeats)
    return pd.DataFrame(
        {
            "trial": range(len(image)), "subject": "s1", "session": 1, "run": 1, "image": image,
            "repeat": np.concatenate([np.arange(1, count + 1) for count in repeats]),
        }
    )  # fmt: skip


def responses_of(store: Store, trials: pd.DataFrame, seed: int = 1) -> Array:
    """Linear in the early layer, with noise on every trial."""
    rng = np.random.default_rng(seed)
    x = store.values["early"].reshape(len(store.images), -1).astype(np.float64)
    signal = x @ rng.normal(size=(x.shape[1], TARGETS))
    y = signal[trials["image"].to_numpy() - 10]
    return (y + 0.5 * rng.normal(size=y.shape) + 3).astype(np.float32)


def write_prepared(
    folder: Path, trials: pd.DataFrame, responses: Array, ncsnr: Array | None = None
) -> Artefact:
    """A finished ``prepare`` artefact of these trials."""
    out = ArtefactWriter(folder)
    images = np.unique(trials["image"])
    out.json("dataset.json", {"name": "fabricated", "simulated": True})
    out.table("trials.tsv", trials)
    digests = [f"{image:064x}" for image in images]
    files = [f"images/{image:05d}.png" for image in images]
    out.table(
        "images.tsv",
        pd.DataFrame({"image": images, "file": files, "sha256": digests, "source": ""}),
    )
    rois = ["V1", "V1|V2", "V2", "", "", "V4"]
    out.table(
        "targets.tsv",
        pd.DataFrame(
            {
                "target": range(TARGETS), "subject": "s1", "hemisphere": ["lh", "rh"] * 3,
                "vertex": range(TARGETS), "rois": rois,
            }
        ),
    )  # fmt: skip
    with out.hdf5("responses.h5") as file:
        add_dataset(file, "responses", responses)
    codes = session_codes(trials)
    moments = Moments(int(codes.max()) + 1, TARGETS)
    moments.add(responses, codes)
    with out.hdf5("sessions.h5") as file:
        for name, values in (("mean", moments.mean()), ("scale", moments.scale())):
            add_dataset(file, name, values)
        add_dataset(file, "count", moments.count)
    if ncsnr is not None:
        out.table(NCSNR, pd.DataFrame({"target": range(TARGETS), "ncsnr": ncsnr}))
    out.json("splits.json", {})
    out.json("captions.json", {})
    return finish(out, "prepare")


def finish(out: ArtefactWriter, name: str, metrics: dict[str, float] | None = None) -> Artefact:
    """Close an artefact as the pipeline would."""
    payload = {"stage": name, "version": 1, "science": {}, "parents": {}, "leaves": {}}
    write_json(out.folder / "fingerprint.json", payload)
    out.finish(provenance={}, metrics=metrics or {}, methods="As fabricated.")
    return Artefact(out.folder)


@pytest.fixture
def context_for(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., StageContext]:
    """Make a context of the stage ``encode``: ``context_for("a", encoder=…, responses=…)``."""
    monkeypatch.setattr(stage, "open_features", lambda own, also: own)

    def make(
        name: str,
        *,
        encoder: EncoderConfig | None = None,
        mode: ResponsesMode = ResponsesMode.mean,
        change: Callable[[pd.DataFrame, Array], Array] = lambda trials, responses: responses,
        split: SplitConfig | None = None,
        features: Store = store,
        normalise: Normalise = Normalise.none,
        ceiling: CeilingConfig | None = None,
        ncsnr: Array | None = None,
    ) -> StageContext:
        trials = trials_of(1 + np.arange(IMAGES) % 3)
        responses = change(trials, responses_of(store, trials))
        prepared = tmp_path / f"prepare-{name}"
        prepared.mkdir()
        out = tmp_path / f"encode-{name}"
        out.mkdir()
        config = SimpleNamespace(
            encoder=encoder or RidgeConfig(alpha_min=1e-2, alpha_max=1e2, n_alphas=5),
            dataset=ArraysConfig(
                responses=mode,
                split=split or SplitConfig(kind=SplitKind.kfold, folds=3),
                normalise=normalise,
                ceiling=ceiling or CeilingConfig(),
            ),
            backbone=EfficientNetLiteConfig(),
            runtime=RuntimeConfig(device=Device.cpu),
            scoring=ScoringConfig(permutations=19, bootstraps=20, attention_images=3),
        )
        parents: dict[str, Any] = {
            "prepare": write_prepared(prepared, trials, responses, ncsnr),
            "features": features,
        }
        tracker: Any = Silent()
        return StageContext(
            config=config,
            parents=parents,
            out=ArtefactWriter(out),
            tracker=tracker,
            seed=0,
            fingerprint="0" * 64,
        )

    return make
