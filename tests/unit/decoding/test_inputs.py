"""Inputs: what is chosen, standardised and projected, and that weights fold back to targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.decoding.decoder_schemas import InputConfig, Reduce, Source
from neuroattn.decoding.inputs import SubjectInput, chosen_columns, fit_input, write_table

ROWS, TARGETS = 60, 24


def table(seed: int = 0, rows: int = ROWS) -> NDArray[np.float32]:
    """Responses with five strong directions, offsets and scales."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((rows, 5)) @ (3 * rng.standard_normal((5, TARGETS)))
    values = signal + 0.1 * rng.standard_normal((rows, TARGETS))
    return (values * rng.uniform(1, 9, TARGETS) + 100).astype(np.float32)


def targets() -> pd.DataFrame:
    names = ["V1v|early", "V1d|early", "FFA", "PPA", "", "FFA"] * 4
    return pd.DataFrame(
        {"target": range(TARGETS), "rois": names, "hemisphere": ["lh", "rh"] * (TARGETS // 2)}
    )


def fitted(config: InputConfig, values: NDArray[np.float32]) -> SubjectInput:
    return fit_input(config, targets(), np.arange(TARGETS), values, 0)


CONFIGS = {
    "none": InputConfig(),
    "pca": InputConfig(projection=Reduce.pca, components=5),
    "parcels": InputConfig(projection=Reduce.parcels, parcels=4),
    "series": InputConfig(source=Source.series, trs=2, projection=Reduce.pca, components=4),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_fold_back_to_targets_exactly(name: str) -> None:
    values = table()
    found = fitted(CONFIGS[name], values)
    weights = np.random.default_rng(1).standard_normal((found.trs * found.width, 3))
    direct = found.apply(values) @ weights
    folded = found.standardised(values) @ found.fold(weights)
    np.testing.assert_allclose(folded, direct, rtol=1e-4, atol=1e-4 * np.abs(direct).max())


@pytest.mark.parametrize("name", CONFIGS)
def test_stored_and_restored_it_is_the_same(name: str) -> None:
    values = table()
    found = fitted(CONFIGS[name], values)
    again = SubjectInput.from_arrays(found.arrays())
    np.testing.assert_array_equal(again.apply(values), found.apply(values))


def test_inputs_are_standardised_by_training_rows_alone() -> None:
    values = table()
    found = fitted(InputConfig(), values)
    inside = found.apply(values)
    np.testing.assert_allclose(inside.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(inside.std(0), 1, atol=1e-4)


def test_a_constant_target_is_zero_and_no_infinity() -> None:
    values = table()
    values[:, 3] = 7
    assert (fitted(InputConfig(), values).apply(values)[:, 3] == 0).all()


def test_components_are_those_of_the_exact_decomposition() -> None:
    values = table()
    found = fitted(CONFIGS["pca"], values)
    z = found.standardised(values).astype(np.float64)
    exact = np.linalg.svd(z - 0, full_matrices=False)[2][:5]
    angles = np.linalg.svd(exact @ found.arrays()["basis"])[1]
    np.testing.assert_allclose(angles, 1, atol=1e-4)


def test_projected_inputs_vary_by_about_one() -> None:
    values = table()
    for name in ("pca", "parcels"):
        assert np.sqrt(np.square(fitted(CONFIGS[name], values).apply(values)).mean()) == (
            pytest.approx(1, rel=1e-3)
        )


def test_parcels_are_means_of_their_targets(tmp_path: Path) -> None:
    atlas = tmp_path / "atlas.npy"
    np.save(atlas, np.array(["a", "b", "", "a"] * 6))
    config = InputConfig(projection=Reduce.parcels, atlas=str(atlas))
    values = table()
    found = fitted(config, values)
    z = found.standardised(values)
    mine = np.isin(np.arange(TARGETS) % 4, [0, 3])
    np.testing.assert_allclose(
        found.projected(z)[:, 0], z[:, mine].mean(1) * found.gain, rtol=1e-4, atol=1e-5
    )


def test_a_table_is_projected_in_a_file(tmp_path: Path) -> None:
    values = table()
    found = fitted(CONFIGS["pca"], values)
    mapped = write_table(tmp_path / "inputs.npy", found, values)
    np.testing.assert_allclose(mapped, found.apply(values), rtol=1e-5, atol=1e-5)
    assert isinstance(mapped, np.memmap)


def test_regions_are_chosen_and_left_out() -> None:
    count = len(chosen_columns(InputConfig(), targets()))
    assert count == TARGETS
    faces = chosen_columns(InputConfig(rois=["FFA"]), targets())
    assert set(targets()["rois"].iloc[faces]) == {"FFA"}
    rest = chosen_columns(InputConfig(without=["V1v", "V1d"]), targets())
    assert set(targets()["rois"].iloc[rest]) == {"FFA", "PPA", ""}


def test_networks_come_from_an_atlas(tmp_path: Path) -> None:
    atlas = tmp_path / "atlas.tsv"
    rows = [f"{target}\t{'default' if target < 5 else 'visual'}" for target in range(TARGETS)]
    atlas.write_text("\n".join(["target\tparcel", *rows]) + "\n")
    config = InputConfig(networks=["default"], atlas=str(atlas))
    assert chosen_columns(config, targets()).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ConfigError, match="no network dorsal"):
        chosen_columns(InputConfig(networks=["dorsal"], atlas=str(atlas)), targets())


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (InputConfig(rois=["V7"]), "no region V7"),
        (InputConfig(networks=["default"]), "no atlas"),
        (InputConfig(rois=["FFA"], without=["FFA"]), "no target is left"),
    ],
)
def test_what_is_not_there_is_refused(config: InputConfig, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        chosen_columns(config, targets())


def test_a_series_divides_into_its_trs() -> None:
    with pytest.raises(ConfigError, match="does not divide into TRs"):
        fitted(InputConfig(source=Source.series, trs=5), table())


def test_more_components_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="so many components"):
        fitted(InputConfig(projection=Reduce.pca, components=TARGETS + 1), table())


def test_a_response_that_is_no_number_is_refused() -> None:
    values = table()
    values[4, 2] = np.nan
    with pytest.raises(DataError, match="not all finite"):
        fitted(InputConfig(), values)
