"""One routing over two subjects finds on little data what each alone does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroattn.encoding.attention_readout import AttentionModel, AttentionReadout
from neuroattn.encoding.joint import together
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import AttentionConfig, Norm, Place
from neuroattn.encoding.start import ContinuedAttention
from neuroattn.stats.correlation import pearson
from neuroattn.training.registry import Mode, OptimiserConfig, StoppingConfig, TrainingConfig
from tests.unit.encoding.tokens import Truth, World, world

OWN, TEST, NEW = 250, 300, 60  # images of each subject, of the test, and of a later subject
TARGETS = np.arange(80) % 3  # of the first, the second and the later subject
MARGIN = 0.15  # of the oracle's r


def config(epochs: int) -> AttentionConfig:
    training = TrainingConfig(
        epochs=epochs,
        optimiser=OptimiserConfig(lr=1e-2),
        stopping=StoppingConfig(monitor="r", mode=Mode.max),
    )
    return AttentionConfig(
        heads=1, hidden=0, dropout=0.0, norm=Norm.none, place=Place.none, selection=0.2,
        training=training,
    )  # fmt: skip


def fit(
    readout: AttentionReadout, data: World, images: Any, responses: Any, own: Any, folder: Path
) -> AttentionModel:
    targets = data.targets.iloc[own].reset_index(drop=True)
    train = TrainingSet(
        features=data, images=images, responses=responses, targets=targets, seed=0, work=folder,
        device="cpu",
    )  # fmt: skip
    model = readout.fit(train)
    assert isinstance(model, AttentionModel)
    return model


def share_of_oracle(predicted: Any, data: World, test: Any, own: Any) -> float:
    measured = data.responses[test][:, own]
    oracle = pearson(data.signal[test][:, own].astype(np.float32), measured).mean()
    return float(pearson(predicted, measured).mean() / oracle)


@pytest.mark.slow
def test_shared_routing_wins_on_little_data(tmp_path: Path) -> None:
    data = world(Truth.content, images=2 * OWN + NEW + TEST, seed=1)
    test = np.arange(2 * OWN + NEW, 2 * OWN + NEW + TEST)
    columns = [np.flatnonzero(subject == TARGETS) for subject in range(3)]
    images = [np.arange(0, OWN), np.arange(OWN, 2 * OWN), np.arange(2 * OWN, 2 * OWN + NEW)]
    rows = [
        (shown, data.responses[np.ix_(shown, own)])
        for shown, own in zip(images, columns, strict=True)
    ]
    whole, responses = together(rows[:2], merge=True)
    both = np.concatenate(columns[:2])
    joint = fit(AttentionReadout(config(20)), data, whole, responses, both, tmp_path / "joint")
    predicted = joint.predict(data, test)
    start = 0
    for subject in range(2):
        own = columns[subject]
        shared = share_of_oracle(predicted[:, start : start + len(own)], data, test, own)
        start += len(own)
        alone = fit(
            AttentionReadout(config(20)), data, *rows[subject], own, tmp_path / str(subject)
        )
        separate = share_of_oracle(alone.predict(data, test), data, test, own)
        assert shared >= separate + MARGIN, (subject, shared, separate)
    # A later subject with a quarter of the data: its heads on the routing of the others.
    new = ContinuedAttention(config(30), joint)
    begun = fit(new, data, *rows[2], columns[2], tmp_path / "begun")
    scratch = fit(AttentionReadout(config(30)), data, *rows[2], columns[2], tmp_path / "scratch")
    shares = [
        share_of_oracle(model.predict(data, test), data, test, columns[2])
        for model in (begun, scratch)
    ]
    assert shares[0] >= shares[1] + MARGIN, shares
