"""How a fit was done, in words and as a record: scale, ceilings, selection, overlap of sides."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import (
    CeilingMethod,
    DatasetConfig,
    Normalise,
    ResponsesMode,
    SplitConfig,
    SplitKind,
)
from neuroattn.data.split_semantic import nearest_similarity, words_about
from neuroattn.data.splits import resolved
from neuroattn.encoding.evaluate import FoldResult


def methods(readout: str, dataset: DatasetConfig, results: list[FoldResult]) -> str:
    """The Methods text, from the readout's sentence (without its full stop)."""
    trained = {
        ResponsesMode.mean: "responses averaged over repeats",
        ResponsesMode.single: "single trials",
        ResponsesMode.weighted: "responses averaged over repeats and weighted by their number",
    }[dataset.responses]
    tested = sum(len(fold.test) for fold in results)
    folds_ = "one held-out set" if len(results) == 1 else f"{len(results)} held-out folds"
    return (
        f"{readout}. It was trained on {trained} and tested on {tested} images in"
        f" {folds_}, against responses averaged over repeats; Pearson correlations were computed"
        f" per fold and averaged over folds.{_scale_methods(dataset)}"
        f"{_selection_methods(dataset)}{_ceiling_methods(dataset, results)}"
    )


def _scale_methods(dataset: DatasetConfig) -> str:
    fitted = {
        Normalise.none: "",
        Normalise.session_train: "fitted on training trials",
        Normalise.session_all: "over all trials, test trials included",
    }[dataset.normalise]
    return fitted and f" Responses were z-scored within each session, {fitted}."


def _selection_methods(dataset: DatasetConfig) -> str:
    least = dataset.ceiling.select
    if least is None:
        return ""
    return f" Targets with a noise ceiling of {least:g} or more on the training images were fitted."


def _ceiling_methods(dataset: DatasetConfig, results: list[FoldResult]) -> str:
    config = dataset.ceiling
    known = [fold.ceiling is not None and np.isfinite(fold.ceiling).any() for fold in results]
    if not any(known):
        return ""
    origin = {
        CeilingMethod.repeats: "from the variance over repeats of the test images",
        CeilingMethod.split_half: "from split halves of the repeats of the test images",
        CeilingMethod.supplied: "from the ncsnr that came with the data (over all trials)",
        CeilingMethod.none: "",
    }[config.method]
    return (
        f" Noise ceilings were computed {origin} (Allen et al., 2022); r squared over the ceiling"
        f" is given for targets with a ceiling of {config.threshold:g} or more."
    )


def protocol(dataset: DatasetConfig) -> dict[str, Any]:
    """What was fitted and divided by, and whether it has seen responses to test images."""
    return {
        "normalise": dataset.normalise.value,
        "normalise_saw_test": dataset.normalise is Normalise.session_all,
        "ceiling": dataset.ceiling.method.value,
        "ceiling_from": "all trials" if dataset.ceiling.method is CeilingMethod.supplied
        else "repeats of the test images",
        "ceiling_threshold": dataset.ceiling.threshold,
        "selection": dataset.ceiling.select,
        "selection_saw_test": dataset.ceiling.select is not None
        and dataset.normalise is Normalise.session_all,
    }  # fmt: skip


def overlap(prepared: Prepared, split: SplitConfig, results: list[FoldResult]) -> dict[str, float]:
    """How near words about test images are to those of training, where they made the split."""
    if resolved(prepared, split) is not SplitKind.semantic_clusters:
        return {}
    words = words_about(prepared.captions, prepared.categories)
    nearest = np.concatenate([nearest_similarity(fold.train, fold.test, words) for fold in results])
    name = "split.nearest_similarity"
    return {f"{name}.mean": float(nearest.mean()), f"{name}.max": float(nearest.max())}
