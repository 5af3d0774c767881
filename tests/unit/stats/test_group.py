"""Over subjects: Student's interval, and the prevalence against its posterior on a grid."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats.group import over_subjects, prevalence, seed_table


def test_mean_and_interval_over_subjects() -> None:
    found = over_subjects(np.array([1.0, 2.0, 3.0, np.nan]))
    assert found.value == 2.0
    # t(2) at 97.5 % is 4.302653, the standard error 1 / sqrt(3)
    assert found.high == pytest.approx(2 + 4.302653 / np.sqrt(3), abs=1e-6)
    assert found.low == pytest.approx(2 - 4.302653 / np.sqrt(3), abs=1e-6)
    assert np.isnan(over_subjects(np.array([1.0])).low)
    assert over_subjects(np.array([1.0])).value == 1.0
    assert np.isnan(over_subjects(np.array([np.nan])).value)


def _on_grid(shown: int, subjects: int, alpha: float, power: float) -> tuple[float, float, float]:
    """Mode and densest 95 % of the posterior, from its values on a fine grid."""
    gamma = np.linspace(0, 1, 200_001)
    theta = alpha + (power - alpha) * gamma
    with np.errstate(divide="ignore"):
        logs = shown * np.log(theta) if shown else np.zeros_like(theta)
        if subjects > shown:
            logs = logs + (subjects - shown) * np.log1p(-theta)
    density = np.exp(logs - logs.max())
    order = np.argsort(-density, kind="stable")
    mass = np.cumsum(density[order]) / density.sum()
    inside = gamma[order[: np.searchsorted(mass, 0.95) + 1]]
    return float(gamma[density.argmax()]), float(inside.min()), float(inside.max())


@pytest.mark.parametrize(
    ("shown", "subjects", "alpha", "power"),
    [(4, 4, 0.05, 1), (0, 8, 0.05, 1), (7, 20, 0.05, 1), (1, 50, 0.05, 1), (3, 4, 0.025, 0.8)],
)
def test_prevalence_is_the_mode_and_the_densest_interval(
    shown: int, subjects: int, alpha: float, power: float
) -> None:
    found = prevalence(shown, subjects, alpha=alpha, sensitivity=power)
    expected = _on_grid(shown, subjects, alpha, power)
    np.testing.assert_allclose((found.value, found.low, found.high), expected, atol=1e-3)


def test_prevalence_has_the_published_mode() -> None:
    """Ince et al. 2021, equation for the MAP: (k / n - alpha) / (1 - alpha), at least 0."""
    assert prevalence(15, 20).value == pytest.approx((0.75 - 0.05) / 0.95)
    assert prevalence(1, 40).value == 0.0
    assert prevalence(12, 12).value == 1.0


@pytest.mark.parametrize(
    ("shown", "subjects", "alpha"), [(5, 4, 0.05), (-1, 4, 0.05), (0, 0, 0.05), (1, 4, 1.0)]
)
def test_what_cannot_be_is_refused(shown: int, subjects: int, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"significant|level"):
        prevalence(shown, subjects, alpha=alpha)


def test_subjects_by_seeds() -> None:
    values = {("b", 1): 0.5, ("a", 0): 0.1, ("a", 1): 0.3, ("a", 4): 0.2}
    table = seed_table(values)
    assert (table.subjects, table.seeds) == (["a", "b"], [0, 1, 4])
    np.testing.assert_array_equal(table.values, [[0.1, 0.3, 0.2], [np.nan, 0.5, np.nan]])
    np.testing.assert_allclose(table.mean, [0.2, 0.5])
    np.testing.assert_allclose(table.sd, [0.1, np.nan])
    assert table.overall.value == pytest.approx(0.35), "every subject counts alike"
    assert table.overall == over_subjects(table.mean)
