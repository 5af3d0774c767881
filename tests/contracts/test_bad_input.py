"""Bad input through the command line: one clear message, the documented code, nothing written."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import EXIT_FAILED, EXIT_USAGE
from neuroattn.pipeline.stages import catalogue
from tests.chain import FIRST, SOME, Ran, fast_alone, neuroattn, words

MOST_LINES = 8


def _check_message(ran: Ran, code: int, *says: str) -> None:
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    lines = ran.err.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    assert len(lines) - start < MOST_LINES, ran.err
    assert any(line.startswith("  fix: ") for line in lines), "the remedy is missing"
    for word in says:
        assert word in ran.err


def _check_nothing_half_written(root: Path) -> None:
    assert not list(root.glob("*/*/DONE"))
    assert not list(root.rglob(".*.tmp"))
    for record in root.glob("*/*/.claim/*.json"):
        assert json.loads(record.read_text())["released"]


# Keys: exit code 2, and not even the root is made


KEYS = {
    "a misspelt key": ("dataset.rooot=x", ["dataset.root"]),
    "a misspelt key of a section": ("dataset.split.fold=3", ["dataset.split.folds"]),
    "a misspelt group": ("bakbone=efficientnet_lite0", ["bakbone", "backbone"]),
    "a new key": ("+dataset.colour=red", ["dataset.colour"]),
    "text for a number": ("dataset.split.folds=five", ["folds", "five"]),
    "a number out of range": ("dataset.split.folds=1", ["folds", "2 or more"]),
    "a share out of range": ("dataset.split.test_fraction=1.5", ["test_fraction", "0 and 1"]),
    "a fraction for a count": ("backbone.image_size=224.5", ["image_size"]),
    "text for a switch": ("encoder.standardise=perhaps", ["standardise", "perhaps"]),
    "a word that is none of them": ("dataset.responses=median", ["single", "mean", "weighted"]),
    "another device": ("runtime.device=tpu", ["auto", "cpu", "cuda"]),
    "no such dataset": ("dataset=nonesuch", ["arrays"]),
    "no such backbone": ("backbone=resnet", ["efficientnet_lite0"]),
    "no such encoder": ("encoder=lasso", ["ridge"]),
    "a layer that the network lacks": ("backbone.layers=[blocks.99]", ["blocks.0 to blocks.15"]),
    "a list for a number": ("seed=[1]", ["seed"]),
    "no number": ("seed=", ["seed"]),
}


@pytest.mark.parametrize("mistake", KEYS)
def test_a_key_that_cannot_be(mistake: str, tiny_data: Path, tmp_path: Path) -> None:
    word, says = KEYS[mistake]
    ran = neuroattn("prepare", f"dataset.root={tiny_data}", f"paths.root={tmp_path / 'r'}", word)
    _check_message(ran, EXIT_USAGE, *says)
    assert not list(tmp_path.iterdir())


# Places: known before the stage begins


@pytest.mark.parametrize(
    ("place", "code", "says"),
    [
        (None, EXIT_USAGE, "dataset.root"),
        ("absent", EXIT_FAILED, "absent"),
        ("file", EXIT_FAILED, "a file"),
        ("empty", EXIT_FAILED, "dataset.yaml"),
        ("~nobody-at-all/data", EXIT_FAILED, "nobody-at-all"),
    ],
)
def test_a_dataset_that_is_not_there(
    place: str | None, code: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    where = [] if place is None else [f"dataset.root='{tmp_path / place}'"]
    if place is not None and place.startswith("~"):
        where = [f"dataset.root='{place}'"]
    root = tmp_path / "root"
    ran = neuroattn("prepare", f"paths.root={root}", *where)
    _check_message(ran, code, says, "dataset.root=DIR" if place is None else "fix")
    _check_nothing_half_written(root)


# Data: the stage fails, and the same command works once they are mended


def _first_picture(data: Path) -> Path:
    return min((data / "images").iterdir())


def _missing_picture(data: Path) -> list[str]:
    _first_picture(data).unlink()
    return ["trials.tsv", "image"]


def _truncated_picture(data: Path) -> list[str]:
    picture = _first_picture(data)
    picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])
    return [picture.name]


def _no_picture(data: Path) -> list[str]:
    picture = _first_picture(data)
    picture.write_text("not a picture")
    return [picture.name]


def _enormous_picture(data: Path) -> list[str]:
    """Some hundred bytes that say they are 900 million pixels."""
    picture = _first_picture(data)

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + pixels)
    return [picture.name, "pixels"]


def _too_few_responses(data: Path) -> list[str]:
    values = np.load(data / "responses.npy")
    np.save(data / "responses.npy", values[:-1])
    return ["responses.npy", f"{len(values)} rows", f"{len(values) - 1} rows"]


def _too_many_responses(data: Path) -> list[str]:
    values = np.load(data / "responses.npy")
    np.save(data / "responses.npy", np.vstack([values, values]))
    return ["responses.npy", f"{len(values)} rows"]


def _spoil(value: float) -> Callable[[Path], list[str]]:
    def damage(data: Path) -> list[str]:
        values = np.load(data / "responses.npy")
        values[3, 2] = value
        np.save(data / "responses.npy", values)
        return ["responses.npy", "trial 3, target 2", str(value)]

    return damage


def _replace(name: str, old: str, new: str, *says: str) -> Callable[[Path], list[str]]:
    """Replace a whole line of a table."""

    def damage(data: Path) -> list[str]:
        lines = (data / name).read_text().splitlines()
        index = next(number for number, line in enumerate(lines) if line.startswith(old))
        lines[index] = new
        (data / name).write_text("\n".join(lines) + "\n")
        return [name, *says]

    return damage


def _image_out_of_range(image: str) -> Callable[[Path], list[str]]:
    def damage(data: Path) -> list[str]:
        lines = (data / "trials.tsv").read_text().splitlines()
        cells = lines[1].split("\t")
        cells[lines[0].split("\t").index("image")] = image
        lines[1] = "\t".join(cells)
        (data / "trials.tsv").write_text("\n".join(lines) + "\n")
        return ["trials.tsv", image]

    return damage


def _cut_responses(data: Path) -> list[str]:
    file = data / "responses.npy"
    file.write_bytes(file.read_bytes()[:-100])
    return ["responses.npy"]


DAMAGES = {
    "a missing picture": _missing_picture,
    "a truncated picture": _truncated_picture,
    "text for a picture": _no_picture,
    "an enormous picture": _enormous_picture,
    "too few responses": _too_few_responses,
    "too many responses": _too_many_responses,
    "responses cut off": _cut_responses,
    "NaN": _spoil(float("nan")),
    "infinity": _spoil(float("inf")),
    "an image beyond the last": _image_out_of_range("4000"),
    "an image below the first": _image_out_of_range("-1"),
    "a target without responses": _replace("rois.tsv", "5\t", "77\tV1\trh", "77"),
}


# Found by the first who looks into them: to prepare 73,000 pictures takes their digests only.
DECODED = ("a truncated picture", "text for a picture", "an enormous picture")


@pytest.mark.parametrize("what", DAMAGES)
def test_data_that_cannot_be(what: str, tiny_data: Path, tmp_path: Path) -> None:
    data, root = tmp_path / "data", tmp_path / "root"
    shutil.copytree(tiny_data, data)
    description = (data / "dataset.yaml").read_text().splitlines()
    counted = [line for line in description if not line.startswith("n_")]  # told apart first
    (data / "dataset.yaml").write_text("\n".join(counted) + "\n")
    says = DAMAGES[what](data)
    stage = "features" if what in DECODED else "prepare"
    ran = neuroattn(*words(stage, data, root))
    _check_message(ran, EXIT_FAILED, *says)
    if what in DECODED:
        shutil.rmtree(root / "prepare")  # which was right to be done
    _check_nothing_half_written(root)


def test_mended_data_are_read_again(tiny_data: Path, tmp_path: Path) -> None:
    data, root = tmp_path / "data", tmp_path / "root"
    shutil.copytree(tiny_data, data)
    _spoil(float("nan"))(data)
    assert neuroattn(*words("prepare", data, root)).code == EXIT_FAILED
    shutil.copy(tiny_data / "responses.npy", data / "responses.npy")
    assert neuroattn(*words("prepare", data, root)).code == 0


@pytest.mark.parametrize(
    "stage", fast_alone((name for name in catalogue().stages if name not in FIRST), SOME)
)
def test_every_stage_tells_of_a_parent_that_failed(
    stage: str, tiny_data: Path, tmp_path: Path
) -> None:
    data, root = tmp_path / "data", tmp_path / "root"
    shutil.copytree(tiny_data, data)
    _spoil(float("nan"))(data)
    ran = neuroattn(*words(stage, data, root))
    _check_message(ran, EXIT_FAILED, "responses.npy", "trial 3, target 2")
    _check_nothing_half_written(root)
    log = next(root.glob("prepare/*/log.txt")).read_text()
    assert log.count(" begins") == 1, "what failed was tried again"
    assert "Traceback" in log, "whoever looks here wants to know where"


def test_a_report_shows_what_failed(tiny_data: Path, tmp_path: Path) -> None:
    data, root = tmp_path / "data", tmp_path / "root"
    shutil.copytree(tiny_data, data)
    _spoil(float("nan"))(data)
    assert neuroattn(*words("report", data, root)).code == EXIT_FAILED
    page = next(root.glob("report/*/report.html")).read_text()
    assert "responses that are no numbers" in page
    shutil.copy(tiny_data / "responses.npy", data / "responses.npy")
    assert not list(root.glob("report/*/DONE")), "it is made anew when the data are mended"


# Regions: known only when the targets are, so the parents are built and the stage refuses


def test_an_unknown_region_lists_those_there_are(tiny_data: Path, all_root: Path) -> None:
    size = [word for word in words("encode", tiny_data, all_root) if "encoder." not in word]
    attention = ["encoder=attention", "encoder.heads=1", "encoder.rois=[nowhere]"]
    ran = neuroattn(*size, *attention)
    _check_message(ran, EXIT_USAGE, "no target is in the region nowhere", "early_sim")
    assert not list(all_root.glob("encode/attention-*/DONE"))
    ran = neuroattn(*words("map", tiny_data, all_root, "maps.outlined=[nowhere]"))
    _check_message(ran, EXIT_USAGE, "no target is in the region nowhere", "maps.outlined")
