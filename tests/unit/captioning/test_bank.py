from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from neuroattn.captioning.bank import make_bank
from neuroattn.captioning.bank_files import files_of_bank, open_pictures, read_captions
from neuroattn.captioning.registry import BankConfig, BankSource
from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from tests.chain import build, neuroattn, words
from tests.unit.captioning.cone import Store

DIGESTS = [f"{n * 7919 % 1009:04d}" for n in range(40)]


def _made(order: list[int], draws: int = 4):
    store = Store(np.eye(40, 8) + 1)
    return make_bank(
        store, np.array(order), [DIGESTS[n] for n in order], names=[str(n) for n in order],
        captions=[[f"Picture {n}."] for n in order], draws=draws,
    )  # fmt: skip


def test_draws_are_disjoint_even_and_independent_of_the_order() -> None:
    one = _made(list(range(40)))
    other = _made(list(reversed(range(40))))
    assert np.bincount(one.draw).tolist() == [10] * 4
    assert sorted(one.ids) == list(range(40))
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.draw, other.draw)
    assert one.captions == [[f"Picture {n}."] for n in one.ids]
    tiles = list(one.tiles())
    assert [draw for draw, _, _ in tiles] == [0, 1, 2, 3]
    assert [start for _, start, _ in tiles] == [0, 10, 20, 30]


def test_a_picture_that_is_there_twice_counts_once() -> None:
    made = _made([*range(40), 3, 3])
    assert (len(made), made.doubles) == (40, 2)


def test_too_few_pictures_for_the_draws_are_refused() -> None:
    with pytest.raises(DataError, match="10 different pictures"):
        _made(list(range(9)), draws=5)


def _picture(path: Path, value: int) -> None:
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)


def test_a_folder_a_list_and_an_hdf5_file_hold_the_same_pictures(tmp_path: Path) -> None:
    for n in range(3):
        _picture(tmp_path / f"{n}.png", n)
    (tmp_path / "names.txt").write_text("# mine\n0.png\n1.png\n\n2.png\n")
    with h5py.File(tmp_path / "stimuli.h5", "w") as file:
        file["imgBrick"] = np.stack([np.full((8, 8, 3), n, np.uint8) for n in range(3)])
    for source, path in (
        (BankSource.folder, tmp_path),
        (BankSource.list, tmp_path / "names.txt"),
        (BankSource.hdf5, tmp_path / "stimuli.h5"),
    ):
        config = BankConfig(source=source, path=str(path))
        pictures, names = open_pictures(config)
        assert len(names) == 3
        assert [int(pictures.read(n)[0, 0, 0]) for n in range(3)] == [0, 1, 2]
        assert files_of_bank(config)


def test_a_bank_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="not there"):
        open_pictures(BankConfig(source=BankSource.folder, path=str(tmp_path / "none")))
    with pytest.raises(DataError, match="is empty"):
        open_pictures(BankConfig(source=BankSource.folder, path=str(tmp_path)))
    with pytest.raises(ConfigError, match="by half"):
        BankConfig(source=BankSource.folder)
    (tmp_path / "captions.json").write_text(json.dumps({"a": "not a list"}))
    with pytest.raises(DataError, match="cannot be read"):
        read_captions(str(tmp_path / "captions.json"))


def test_a_picture_that_cannot_be_read_is_left_out_and_counted(
    tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    for n in range(12):
        _picture(tmp_path / f"{n:02d}.png", 20 * n)
    (tmp_path / "03.png").write_bytes(b"\x89PNG torn")
    del all_root
    root = tmp_path / "root"
    ran = neuroattn(
        *words("bank", tiny_data, root, f"caption.bank.path={tmp_path}"),
    )
    assert ran.code == 0, ran.err
    table = (ran.path / "images.tsv").read_text().splitlines()
    assert [line.split("\t")[-1] for line in table[1:]].count("False") == 1
    assert table[4].split("\t")[1:3] == ["3", "03.png"]
    metrics = json.loads((ran.path / "metrics.json").read_text())
    assert (metrics["images"], metrics["excluded"]) == (11, 1)


def test_the_bank_is_a_feature_store_without_responses(tiny_data: Path, all_root: Path) -> None:
    from neuroattn.features.store import FeatureStore

    store = FeatureStore(build("bank", tiny_data, all_root))
    assert store.read("blocks.4", [0]).shape == (1, 4, 40)
