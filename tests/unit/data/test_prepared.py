"""Reading a prepared dataset: any rows, any columns, one answer whatever the block."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ArtefactError, ConfigError, DataError
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ArraysConfig
from neuroattn.data.store_read import spans

from .tiny_dataset import RESPONSES, prepare


def test_tables_come_back_with_their_types(prepared: Prepared) -> None:
    assert prepared.trials["subject"].tolist() == ["01"] * 3 + ["02"] * 4
    assert str(prepared.trials["run"].dtype) == "Int64"
    assert prepared.image_ids.tolist() == [2, 4, 7]
    assert prepared.image_ids.dtype == np.int64
    assert prepared.targets["rois"].tolist() == ["V1|early", "", "V4"]
    assert prepared.targets["hemisphere"].tolist() == ["lh", "", "rh"]
    assert prepared.targets["vertex"].isna().tolist() == [False, True, True]
    assert prepared.images["source"].tolist() == ["", "", ""]
    assert prepared.description["n_subjects"] == 2
    assert prepared.splits == {}


@pytest.mark.parametrize(
    "rows", [None, slice(2, 5), [5, 0, 5, 3], np.array([6]), [], slice(None, None, 2)], ids=str
)
@pytest.mark.parametrize(
    "columns", [None, slice(1, 3), np.array([2, 0]), np.array([True, False, True])], ids=str
)
def test_any_rows_and_columns_in_the_order_asked_for(
    prepared: Prepared, rows: Any, columns: Any
) -> None:
    if not isinstance(rows, slice):
        rows = slice(None) if rows is None else np.array(rows, dtype=int)
    expected = RESPONSES[rows][:, slice(None) if columns is None else columns]
    read = prepared.responses(rows, columns)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [([7], None), ([-1], None), (None, np.array([3])), (None, np.array([True])), ([0.5], None)],
)
def test_rows_and_columns_that_do_not_exist(prepared: Prepared, rows: Any, columns: Any) -> None:
    with pytest.raises(DataError):
        prepared.responses(rows, columns)


def test_image_responses_average_all_repeats_and_keep_the_order(prepared: Prepared) -> None:
    expected = np.stack([RESPONSES[[0, 2, 3, 6]].mean(0), RESPONSES[[5]].mean(0)])
    np.testing.assert_allclose(prepared.image_responses([7, 4]), expected)
    np.testing.assert_array_equal(
        prepared.image_responses([7, 4], "weighted"), prepared.image_responses([7, 4], "mean")
    )
    np.testing.assert_allclose(
        prepared.image_responses([4, 7, 7], columns=np.array([2])), expected[[1, 0, 0]][:, [2]]
    )


def test_single_takes_the_first_trial(prepared: Prepared) -> None:
    np.testing.assert_array_equal(prepared.image_responses([7, 2], "single"), RESPONSES[[0, 1]])


def test_repeats_and_trial_rows(prepared: Prepared) -> None:
    assert prepared.repeats([7, 4, 2]).tolist() == [4, 1, 2]
    rows, positions = prepared.trial_rows([2, 7])
    assert rows.tolist() == [1, 4, 0, 2, 3, 6]
    assert positions.tolist() == [0, 0, 1, 1, 1, 1]
    assert prepared.image_responses([]).shape == (0, 3)


def test_images_without_trials_and_unknown_modes(prepared: Prepared) -> None:
    with pytest.raises(DataError, match="images 9"):
        prepared.image_responses([7, 9])
    with pytest.raises(ConfigError, match=r"single \| mean \| weighted"):
        prepared.image_responses([7], "median")


def test_blocks_cover_all_trials(prepared: Prepared) -> None:
    blocks = list(prepared.response_blocks(np.array([1]), block=36))
    assert [rows for rows, _ in blocks] == [slice(0, 3), slice(3, 6), slice(6, 7)]
    np.testing.assert_array_equal(np.concatenate([v for _, v in blocks]), RESPONSES[:, [1]])


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """2,000 trials of 300 images x 700 targets: several chunks, repeats far apart."""
    from .tiny_dataset import YAML

    folder = tmp_path_factory.mktemp("larger")
    random = np.random.default_rng(0)
    shown = np.concatenate([np.arange(300), random.integers(0, 300, 1700)])
    repeat = [int(np.sum(shown[:row] == image)) for row, image in enumerate(shown)]
    lines = [f"{row}\t{image}\t1\t{repeat[row]}" for row, image in enumerate(shown)]
    (folder / "dataset.yaml").write_text(YAML)
    (folder / "trials.tsv").write_text("\n".join(["trial\timage\tsession\trepeat", *lines]))
    (folder / "rois.tsv").write_text("target\troi\themisphere\n")
    np.save(folder / "images.npy", np.zeros((300, 2, 2, 3), dtype=np.uint8))
    np.save(folder / "responses.npy", random.normal(size=(2000, 700)).astype(np.float32))
    return Prepared(prepare(ArraysConfig(root=str(folder), block_mib=1), folder / "out" / "x-0"))


def test_means_do_not_depend_on_the_block(larger: Prepared) -> None:
    images = np.random.default_rng(1).permutation(300)
    whole = larger.image_responses(images)
    for block in (1, 8 * 700 * 7, 8 * 700 * 300):
        np.testing.assert_array_equal(larger.image_responses(images, block=block), whole)
    shown = larger.trials["image"].to_numpy()
    everything = larger.responses().astype(np.float64)
    naive = np.stack([everything[shown == image].mean(0) for image in images])
    np.testing.assert_array_equal(whole, naive.astype(np.float32))


def test_scattered_rows_are_read_in_their_order(larger: Prepared) -> None:
    rows = np.random.default_rng(2).integers(0, 2000, 50)
    np.testing.assert_array_equal(larger.responses(rows), larger.responses()[rows])


def test_spans_read_no_chunk_without_need() -> None:
    rows = np.array([0, 9, 10, 11, 57, 99])
    assert spans(rows, (100, 10), (10, 10)) == [(0, 20), (50, 60), (90, 100)]
    wide = 4 << 20  # one row is 16 MiB: never more than one at a time
    assert spans(np.array([0, 1, 2]), (3, wide), (1, wide)) == [(0, 1), (1, 2), (2, 3)]
    assert spans(np.array([95]), (97, 10), (10, 10)) == [(90, 97)]


def test_damage_is_noticed(prepared: Prepared) -> None:
    path = prepared.artefact.folder / "responses.h5"
    content = bytearray(path.read_bytes())
    content[content.index(RESPONSES[5].tobytes()) + 3] ^= 1
    path.write_bytes(bytes(content))
    np.testing.assert_array_equal(prepared.responses([0, 4]), RESPONSES[[0, 4]])
    for read in (prepared.responses, lambda: prepared.image_responses([4])):
        with pytest.raises(ArtefactError, match=r"responses\.h5(.|\n)*row 5 with the checksum"):
            read()


def test_another_stage_is_refused(tmp_path: Path) -> None:
    from neuroattn.core.artefact import ArtefactWriter

    (tmp_path / "fingerprint.json").write_text(json.dumps({"stage": "encode"}))
    ArtefactWriter(tmp_path).finish(provenance={}, metrics={}, methods="")
    with pytest.raises(ConfigError, match="no prepared dataset"):
        Prepared(Artefact(tmp_path))
