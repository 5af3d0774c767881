"""The stage ``prepare``: what it writes, what it refuses, how much it holds."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroattn.core.errors import DataError
from neuroattn.core.fingerprint import file_digest
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ArraysConfig
from neuroattn.data.stage import in_order, run

from .tiny_dataset import RESPONSES, YAML, context_for, prepare


def test_payload_metrics_and_methods(tiny: Path, tmp_path: Path) -> None:
    artefact = prepare(ArraysConfig(root=str(tiny)), tmp_path / "p" / "a-0")
    assert sorted(artefact.files) == [
        "captions.json",
        "categories.json",
        "dataset.json",
        "images.tsv",
        "responses.h5",
        "sessions.h5",
        "splits.json",
        "targets.tsv",
        "trials.tsv",
    ]
    assert artefact.metrics == {
        "n_images": 3,
        "n_trials": 7,
        "n_targets": 3,
        "n_subjects": 2,
        "repeats.min": 1,
        "repeats.max": 4,
    }
    assert artefact.methods == (
        "Responses came from tiny (macaque, electrophysiology, in spikes): 3 targets of "
        "2 subjects, 7 trials of 3 images, each shown 1 to 4 times (Nobody 2020)."
    )
    digests = [file_digest(tiny / "images" / f"0000{image}.png") for image in (2, 4, 7)]
    assert artefact.table("images.tsv")["sha256"].tolist() == digests
    described = artefact.json("dataset.json")
    assert described["citation"] == "Nobody 2020"
    assert described["simulated"] is False


def test_responses_are_float32_with_a_checksum_of_each_row(tiny: Path, tmp_path: Path) -> None:
    artefact = prepare(ArraysConfig(root=str(tiny)), tmp_path / "p" / "a-0")
    with h5py.File(artefact.path("responses.h5"), "r") as file:
        array = file["responses"]
        assert array.dtype == np.float32
        assert array.attrs["units"] == "spikes"
        np.testing.assert_array_equal(array[:], RESPONSES)
    with h5py.File(artefact.path("sessions.h5"), "r") as file:
        assert file["crc32"][:].tolist() == [zlib.crc32(row.tobytes()) for row in RESPONSES]


def test_equal_input_gives_equal_bytes_whatever_the_block(tiny: Path, tmp_path: Path) -> None:
    np.save(tiny / "responses.npy", np.random.default_rng(0).normal(size=(7, 50_000)))
    first, second = (
        prepare(ArraysConfig(root=str(tiny), block_mib=size), tmp_path / "p" / f"a-{size}")
        for size in (1, 64)
    )
    assert first.files == second.files


def test_splits_and_captions_keep_shown_images(tiny: Path, tmp_path: Path) -> None:
    (tiny / "splits.json").write_text(json.dumps({"train": [2, 9], "test": [4, 7]}))
    (tiny / "captions.json").write_text(json.dumps({"9": ["never shown"], "4": ["shown"]}))
    (tiny / "categories.json").write_text(json.dumps({"9": ["never"], "7": ["grey"]}))
    artefact = prepare(ArraysConfig(root=str(tiny), subjects=["01"]), tmp_path / "p" / "a-0")
    assert artefact.json("splits.json") == {"dataset": {"train": [2], "test": [7]}}
    assert artefact.json("captions.json") == {}
    assert artefact.json("categories.json") == {"7": ["grey"]}
    assert Prepared(artefact).categories == {"7": ["grey"]}


def test_simulated_stands_in_description_and_methods(tiny: Path, tmp_path: Path) -> None:
    (tiny / "dataset.yaml").write_text(YAML + "simulated: true\n")
    artefact = prepare(ArraysConfig(root=str(tiny)), tmp_path / "p" / "a-0")
    assert artefact.json("dataset.json")["simulated"] is True
    assert artefact.methods.startswith("Simulated responses")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_no_numbers_are_counted_and_the_first_is_named(
    tiny: Path, tmp_path: Path, value: float
) -> None:
    values = RESPONSES.astype(np.float64)
    values[4, 1] = values[5, 0] = values[6, 2] = value
    np.save(tiny / "responses.npy", values)
    with pytest.raises(DataError) as caught:
        run(context_for(ArraysConfig(root=str(tiny), subjects=["02"]), tmp_path / "out"))
    message = str(caught.value)
    assert "trial 4, target 1 (the first of 3)" in message
    assert "responses.npy" in message
    assert not (tmp_path / "out" / "responses.h5").exists()


def test_memory_is_bounded_by_the_block(tiny: Path, tmp_path: Path) -> None:
    trials = 1000  # of 5,000 targets: 20 MB
    np.save(tiny / "responses.npy", np.ones((trials, 5000), dtype=np.float32))
    rows = "".join(f"{trial}\t2\t1\t{trial}\n" for trial in range(trials))
    (tiny / "trials.tsv").write_text("trial\timage\tsession\trepeat\n" + rows)
    config = ArraysConfig(root=str(tiny), block_mib=1)
    tracemalloc.start()
    run(context_for(config, tmp_path / "out"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def blocks(*parts: tuple[slice, np.ndarray]) -> Iterator[tuple[slice, np.ndarray]]:
    yield from parts


@pytest.mark.parametrize(
    "parts",
    [
        [(slice(0, 2), np.zeros((2, 3), np.float32))],
        [(slice(1, 4), np.zeros((3, 3), np.float32))],
        [(slice(0, 4), np.zeros((4, 2), np.float32))],
        [(slice(0, 4), np.zeros((4, 3), np.float64))],
        [(slice(0, 4), np.zeros((3, 3), np.float32))],
        [(slice(0, 3), np.zeros((3, 3), np.float32)), (slice(2, 4), np.zeros((2, 3), np.float32))],
        [],
    ],
)
def test_a_reader_that_breaks_the_contract_is_named(parts) -> None:
    with pytest.raises(DataError, match="fault of the dataset's reader"):
        list(in_order(blocks(*parts), (4, 3)))
