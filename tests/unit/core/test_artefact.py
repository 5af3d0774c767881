from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.core import artefact as module
from neuroattn.core.artefact import Artefact, ArtefactWriter, is_done
from neuroattn.core.atomic import write_json, write_text
from neuroattn.core.errors import ArtefactError
from neuroattn.core.fingerprint import stage_fingerprint
from neuroattn.core.hdf5 import add_dataset

PRINT = stage_fingerprint(stage="toy", version=1, science={}, parents={}, leaves={})


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "toy" / f"toy-{PRINT.short}"
    folder.mkdir(parents=True)
    writer = ArtefactWriter(folder)
    writer.start()
    write_json(folder / "fingerprint.json", PRINT.payload)
    write_text(folder / "config.yaml", "seed: 0\n")
    write_json(folder / "inputs.json", {})
    writer.json("a.json", {"x": 1})
    writer.table("t.tsv", pd.DataFrame({"x": [0.1, np.nan], "y": ["NA", "b"]}))
    with writer.hdf5("sub/d.h5") as file:
        add_dataset(file, "values", np.arange(100_000, dtype=np.float32).reshape(100, 1000))
    (writer.work / "resume").write_text("state")
    writer.finish(provenance={"seed": 0}, metrics={"m": 1.5, "n": float("nan")}, methods=" Said. ")
    return folder


def test_round_trip(written: Path) -> None:
    artefact = Artefact(written)
    assert artefact.stage == "toy"
    assert artefact.fingerprint == PRINT.digest
    assert artefact.json("a.json") == {"x": 1}
    assert artefact.metrics == {"m": 1.5, "n": None}
    assert artefact.methods == "Said."
    assert artefact.config == {"seed": 0}
    assert sorted(artefact.files) == ["a.json", "sub/d.h5", "t.tsv"]
    table = artefact.table("t.tsv")
    assert table.y.tolist() == ["NA", "b"]
    assert np.isnan(table.x[1])
    with artefact.hdf5("sub/d.h5") as file:
        assert file["values"][99, 999] == 99_999
    artefact.verify()


def test_work_is_gone_once_done(written: Path) -> None:
    assert not (written / ".work").exists()


def test_done_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it vouches for has its name already: a kill at any rename before leaves no DONE."""
    order: list[str] = []
    rename = os.replace
    monkeypatch.setattr(
        os, "replace", lambda old, new: (order.append(Path(new).name), rename(old, new))[1]
    )
    writer = ArtefactWriter(tmp_path)
    writer.json("a.json", {"x": 1})
    writer.finish(provenance={}, metrics={}, methods="")
    assert sorted(order[:-1]) == ["a.json", "methods.txt", "metrics.json", "provenance.json"]
    assert order[-1] == "DONE"


def test_without_done_nothing_is_read(written: Path) -> None:
    (written / "DONE").unlink()
    assert not is_done(written)
    with pytest.raises(ArtefactError, match="no finished artefact") as caught:
        Artefact(written)
    assert "a run that is not finished" in str(caught.value)


@pytest.mark.parametrize("name", ["a.json", "t.tsv", "sub/d.h5", "provenance.json"])
def test_one_flipped_bit_is_found(written: Path, name: str) -> None:
    content = bytearray((written / name).read_bytes())
    content[len(content) // 2] ^= 4
    (written / name).write_bytes(content)
    with pytest.raises(ArtefactError, match="not what was written") as caught:
        Artefact(written).path(name)
    assert name in str(caught.value)
    assert "delete" in str(caught.value)


def test_a_flipped_bit_in_an_open_hdf5_file_is_found_by_its_checksum(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = Artefact(written)
    path = artefact.path("sub/d.h5")
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1  # inside the last chunk
    path.write_bytes(content)
    monkeypatch.setattr(module, "_digest_once", lambda _: artefact.files["sub/d.h5"]["sha256"])
    with pytest.raises(ArtefactError, match="damaged"), artefact.hdf5("sub/d.h5") as file:
        file["values"][:]


def test_a_missing_payload_file_is_found(written: Path) -> None:
    (written / "a.json").unlink()
    with pytest.raises(ArtefactError, match="not what was written"):
        Artefact(written).json("a.json")


def test_files_that_were_never_written_are_not_read(written: Path) -> None:
    (written / "smuggled.json").write_text("{}")
    with pytest.raises(ArtefactError, match="has no file smuggled"):
        Artefact(written).json("smuggled.json")


@pytest.mark.parametrize("name", ["DONE", "config.yaml", "../escape", "/tmp/escape"])
def test_names_that_are_not_free(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtefactError, match="not free"):
        ArtefactWriter(tmp_path).text(name, "x")


def test_adopt_moves_finished_work(tmp_path: Path) -> None:
    writer = ArtefactWriter(tmp_path)
    (writer.work / "big.npy").write_bytes(b"123")
    writer.adopt(writer.work / "big.npy", "big.npy")
    assert (tmp_path / "big.npy").read_bytes() == b"123"
    assert "big.npy" in writer.payload()
