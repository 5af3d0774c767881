from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.cli.simulate import simulate
from neuroattn.core.errors import StorageError
from neuroattn.data.mapped_pickle import read_mapped_dictionary
from neuroattn.data.simulate.things import Design, picture, simulate_things

SMALL = {
    "subjects": 1,
    "concepts": 20,
    "each": 5,
    "test": 6,
    "side": 32,
    "samples": 16,
    "noise": 0.3,
}


def explained(root: Path, fine: int) -> float:
    """Share of the epochs' variance that the strengths of coarse or fine gratings explain."""
    from neuroattn.core.seeding import generator

    epochs = np.asarray(
        read_mapped_dictionary(root / "sub-01/preprocessed_eeg_training.npy")[
            "preprocessed_eeg_data"
        ]
    ).mean(1)[..., 12:]
    strengths = generator(0, "things", "training").random((100, 2, 4, 4)) ** 2
    design = np.c_[np.ones(100), strengths[:, fine].reshape(100, -1)]
    flat = epochs.reshape(100, -1)
    fitted = design @ np.linalg.lstsq(design, flat, rcond=None)[0]
    return float(1 - (flat - fitted).var(0).sum() / flat.var(0).sum())


def test_the_mismatch_is_planted_and_only_where_it_was_asked_for(tmp_path: Path) -> None:
    without = simulate_things(tmp_path / "a", Design(**SMALL, mismatch=True))
    matched = simulate_things(tmp_path / "b", Design(**SMALL, mismatch=False))
    chance = 16 / 99
    assert explained(without, 0) > 0.7
    assert explained(without, 1) < chance + 0.15
    assert explained(matched, 1) > chance + 0.15


def test_a_fine_grating_is_fine() -> None:
    coarse, fine = np.zeros((2, 2, 4, 4))
    coarse[0], fine[1] = 0.5, 0.5
    steps = [
        np.abs(np.diff(picture(one, 64, np.random.default_rng(0))[..., 0].astype(float))).mean()
        for one in (coarse, fine)
    ]
    assert steps[1] > 2 * steps[0]


def test_the_same_folder_again_and_another(tmp_path: Path) -> None:
    first = simulate_things(tmp_path / "a", Design(**SMALL))
    assert simulate_things(tmp_path / "a", Design(**SMALL)) == first
    with pytest.raises(StorageError, match="something else"):
        simulate_things(tmp_path / "a", Design(**SMALL), seed=1)


def test_the_verb_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(tmp_path / "things"), "--form", "things_eeg2", "--subjects", "1", "--matched"]
    assert simulate(words) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "things")
    assert (tmp_path / "things/sub-01/preprocessed_eeg_test.npy").is_file()
