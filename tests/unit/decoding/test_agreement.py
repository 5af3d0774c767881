from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from neuroattn.decoding import agreement
from neuroattn.decoding.agreement import repeats_agree

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("most", [1, 4096])
def test_it_is_the_mean_correlation_of_pairs(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "AT_ONCE", most)
    table = RANDOM.normal(size=(40, 12)).astype(np.float32)
    images = RANDOM.integers(0, 12, 40)
    rows = np.sort(RANDOM.permutation(40)[:33])
    found = repeats_agree(table, images, rows)
    for place, row in enumerate(rows):
        mine = [other for other in rows if images[other] == images[row]]
        if len(mine) == 1:
            assert np.isnan(found[place])
            continue
        pairs = [np.corrcoef(table[a], table[b])[0, 1] for a, b in combinations(mine, 2)]
        assert found[place] == pytest.approx(np.mean(pairs), abs=1e-5)


def test_rows_that_are_not_trained_on_have_no_say() -> None:
    table = RANDOM.normal(size=(6, 9)).astype(np.float32)
    images, rows = np.array([1, 1, 1, 2, 2, 2]), np.array([0, 1, 3, 4])
    before = repeats_agree(table, images, rows)
    table[[2, 5]] = 1e6
    assert np.array_equal(repeats_agree(table, images, rows), before)
