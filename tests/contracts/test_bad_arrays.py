"""A corpus of damaged datasets: one clear error each, with the file, what was found, and a fix.

Every case damages a copy of one good dataset, opens it and streams it through ``prepare``,
as a user would. None may end in another exception, and none may pass.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import (
    ConfigError,
    DataError,
    LeakError,
    MissingDataError,
    NeuroattnError,
    SecurityError,
)
from neuroattn.core.stage import StageContext
from neuroattn.core.tracking import Tracker
from neuroattn.data.dataset import open_dataset
from neuroattn.data.generated import generate
from neuroattn.data.registry import ArraysConfig
from neuroattn.data.stage import run

IMAGES, TARGETS, REPEATS = 6, 5, 2
TRIALS = IMAGES * REPEATS
Damage = Callable[[Path], Any]


@dataclass(frozen=True)
class Case:
    """``error`` is the exact class, ``file`` a name that the message must hold, ``says`` words."""

    name: str
    damage: Damage
    error: type[NeuroattnError]
    file: str
    says: tuple[str, ...]


def line(name: str, row: int, content: str) -> Damage:
    """Replace line ``row`` (the header is 0) of a table; spaces become tabs."""

    def damage(root: Path) -> None:
        lines = (root / name).read_text().splitlines()
        lines[row] = content.replace(" ", "\t")
        (root / name).write_text("\n".join(lines) + "\n")

    return damage


def append(name: str, content: str | bytes) -> Damage:
    def damage(root: Path) -> None:
        with open(root / name, "ab") as handle:
            handle.write(content if isinstance(content, bytes) else content.encode())

    return damage


def write(name: str, content: Any) -> Damage:
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return lambda root: (root / name).write_bytes(
        text if isinstance(text, bytes) else text.encode()
    )


def remove(name: str) -> Damage:
    return lambda root: (root / name).unlink()


def responses(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    def damage(root: Path) -> None:
        np.save(root / "responses.npy", change(np.load(root / "responses.npy")))

    return damage


def spoilt(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[3, 2] = values[7, 0] = value
        return values

    return change


def pictures(array: np.ndarray, kind: str = "npy") -> Damage:
    def damage(root: Path) -> None:
        shutil.rmtree(root / "images")
        if kind == "npy":
            np.save(root / "images.npy", array)
        else:
            with h5py.File(root / "images.h5", "w") as file:
                file["images"] = array

    return damage


class Touch:
    """Unpickling it leaves a file behind."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.flag,))


def pickled(root: Path) -> None:
    content = np.array([[Touch(root.parent / "executed")]], dtype=object)
    np.save(root / "responses.npy", content, allow_pickle=True)


def bare_pickle(root: Path) -> None:
    (root / "responses.npy").write_bytes(pickle.dumps(Touch(root.parent / "executed")))


def external(root: Path) -> None:
    (root / "responses.npy").unlink()
    with h5py.File(root / "responses.h5", "w") as file:
        file["responses"] = h5py.ExternalLink("elsewhere.h5", "responses")


def cut(name: str, keep: float) -> Damage:
    def damage(root: Path) -> None:
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: int(len(content) * keep)])

    return damage


def both(first: Damage, second: Damage) -> Damage:
    return lambda root: (first(root), second(root))


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
ANNEX = "/annex/objects/SHA256E-s9--0.jpg\n"
GREY = np.full((IMAGES, 8, 8, 3), 99, dtype=np.uint8)

CASES = [
    Case("no root", shutil.rmtree, MissingDataError, "demo", ("dataset.root=DIR",)),
    Case(
        "root is a file",
        both(shutil.rmtree, lambda root: root.touch()),
        MissingDataError,
        "demo",
        ("a file", "dataset.root=DIR"),
    ),
    *(
        Case(f"no {name}", remove(name), MissingDataError, name, ("is missing", name))
        for name in ("dataset.yaml", "trials.tsv", "rois.tsv")
    ),
    Case("no responses", remove("responses.npy"), MissingDataError, "demo", ("responses.h5",)),
    Case(
        "no pictures at all",
        lambda root: shutil.rmtree(root / "images"),
        MissingDataError,
        "demo",
        ("images.npy",),
    ),
    Case("two responses", write("responses.h5", "x"), DataError, "demo", ("more than once",)),
    # Stubs of files that were not fetched.
    Case(
        "lfs responses",
        write("responses.npy", LFS),
        MissingDataError,
        "responses.npy",
        ("git lfs pull",),
    ),
    Case("lfs table", write("trials.tsv", LFS), MissingDataError, "trials.tsv", ("git lfs pull",)),
    Case(
        "annex picture",
        write("images/00002.jpg", ANNEX),
        MissingDataError,
        "00002.jpg",
        ("datalad get",),
    ),
    Case(
        "annex link",
        both(
            remove("images/00002.jpg"),
            lambda root: (root / "images/00002.jpg").symlink_to("../.git/annex/objects/x"),
        ),
        MissingDataError,
        "00002.jpg",
        ("git annex get",),
    ),
    # Responses.
    Case(
        "rows too few",
        responses(lambda v: v[:-1]),
        DataError,
        "responses.npy",
        (f"{TRIALS} rows", f"{TRIALS - 1} rows"),
    ),
    Case(
        "rows too many",
        responses(lambda v: np.vstack([v, v])),
        DataError,
        "responses.npy",
        ("24 rows",),
    ),
    Case("no rows", responses(lambda v: v[:0]), DataError, "responses.npy", ("0 rows",)),
    Case("no targets", responses(lambda v: v[:, :0]), DataError, "responses.npy", ("(12, 0)",)),
    Case("three axes", responses(lambda v: v[None]), DataError, "responses.npy", ("(1, 12, 5)",)),
    Case(
        "nan",
        responses(spoilt(np.nan)),
        DataError,
        "responses.npy",
        ("nan at trial 3, target 2", "first of 2"),
    ),
    Case(
        "infinite",
        responses(spoilt(-np.inf)),
        DataError,
        "responses.npy",
        ("-inf at trial 3, target 2",),
    ),
    Case("text", responses(lambda v: v.astype(str)), DataError, "responses.npy", ("float32",)),
    Case("complex", responses(lambda v: v * 1j), DataError, "responses.npy", ("complex",)),
    Case(
        "cut off", cut("responses.npy", 0.7), DataError, "responses.npy", ("copy the file again",)
    ),
    Case("empty file", write("responses.npy", ""), DataError, "responses.npy", ("0 bytes",)),
    Case(
        "no npy",
        write("responses.npy", "0.1 0.2\n" * 200),
        DataError,
        "responses.npy",
        ("numpy.save",),
    ),
    Case("pickled", pickled, SecurityError, "responses.npy", ("execute", "numpy.save")),
    Case("bare pickle", bare_pickle, SecurityError, "responses.npy", ("execute", "numpy.save")),
    Case("external hdf5", external, SecurityError, "responses.h5", ("another file",)),
    Case(
        "broken hdf5",
        both(remove("responses.npy"), write("responses.h5", b"\x89HDF\r\n\x1a\n" + b"0" * 2000)),
        DataError,
        "responses.h5",
        ("copy the file again",),
    ),
    # Trials.
    Case(
        "commas",
        write("trials.tsv", "trial,image,session,repeat\n0,0,1,1\n"),
        DataError,
        "trials.tsv",
        ("tabs",),
    ),
    Case(
        "no repeat column",
        line("trials.tsv", 0, "trial image session again run"),
        DataError,
        "trials.tsv",
        ("lacks the column repeat",),
    ),
    Case(
        "counted from 1",
        line("trials.tsv", 1, "1 0 1 1 1"),
        DataError,
        "trials.tsv",
        ("1 in line 2, where 0 is due",),
    ),
    Case(
        "fractional image",
        line("trials.tsv", 3, "2 1.5 1 1 1"),
        DataError,
        "trials.tsv",
        ("'1.5' in line 4", "image"),
    ),
    Case(
        "missing image",
        line("trials.tsv", 3, "2 n/a 1 1 1"),
        DataError,
        "trials.tsv",
        ("nothing in line 4", "image"),
    ),
    Case(
        "text session",
        line("trials.tsv", 3, "2 1 ses-01 1 1"),
        DataError,
        "trials.tsv",
        ("'ses-01'", "session"),
    ),
    Case(
        "image without picture",
        line("trials.tsv", 3, "2 77 1 1 1"),
        DataError,
        "trials.tsv",
        ("no picture of image 77",),
    ),
    Case(
        "negative image",
        line("trials.tsv", 3, "2 -1 1 1 1"),
        DataError,
        "trials.tsv",
        ("no picture of image -1",),
    ),
    Case("picture gone", remove("images/00004.jpg"), DataError, "trials.tsv", ("image 4",)),
    Case(
        "repeat twice",
        both(line("trials.tsv", 2, "1 0 1 9 1"), line("trials.tsv", 3, "2 0 1 9 1")),
        DataError,
        "trials.tsv",
        ("image 0, repeat 9", "line 4"),
    ),
    Case("long line", line("trials.tsv", 3, "2 1 1 1 1 1 1"), DataError, "trials.tsv", ("line 4",)),
    Case("latin-1", append("rois.tsv", b"0\tr\xe9gion\tlh\n"), DataError, "rois.tsv", ("UTF-8",)),
    # ROIs.
    Case(
        "unknown target",
        append("rois.tsv", "5\tV1\tlh\n"),
        DataError,
        "rois.tsv",
        ("5 in line", "0 to 4"),
    ),
    Case(
        "negative target",
        append("rois.tsv", "-1\tV1\tlh\n"),
        DataError,
        "rois.tsv",
        ("-1 in line",),
    ),
    Case(
        "unknown hemisphere",
        append("rois.tsv", "0\tV1\tmiddle\n"),
        DataError,
        "rois.tsv",
        ("'middle'", "lh, rh or n/a"),
    ),
    Case(
        "two hemispheres",
        append("rois.tsv", "0\tV1\trh\n"),
        DataError,
        "rois.tsv",
        ("target 0: lh, rh",),
    ),
    Case(
        "joined rois",
        append("rois.tsv", "0\tV1|V2\tlh\n"),
        DataError,
        "rois.tsv",
        ("a row of its own",),
    ),
    # Description.
    Case(
        "no citation",
        write(
            "dataset.yaml", "name: x\nspecies: x\nmodality: x\nunits: x\nspace: none\nlicence: x\n"
        ),
        DataError,
        "dataset.yaml",
        ("lacks citation",),
    ),
    Case(
        "broken yaml", write("dataset.yaml", "name: [x\n"), DataError, "dataset.yaml", ("line 2",)
    ),
    Case("yaml list", write("dataset.yaml", "- a\n- b\n"), DataError, "dataset.yaml", ("mapping",)),
    Case(
        "python in yaml",
        write("dataset.yaml", "name: !!python/object/apply:os.getcwd []\n"),
        SecurityError,
        "dataset.yaml",
        ("!!python",),
    ),
    Case(
        "simulated perhaps",
        append("dataset.yaml", "simulated: perhaps\n"),
        DataError,
        "dataset.yaml",
        ("true or false",),
    ),
    Case(
        "half a copy",
        append("dataset.yaml", "n_trials: 24\n"),
        DataError,
        "dataset.yaml",
        ("n_trials: 24", "12"),
    ),
    # Pictures.
    Case(
        "picture cut off",
        cut("images/00002.jpg", 0.5),
        DataError,
        "00002.jpg",
        ("copy the file again",),
    ),
    Case("float pictures", pictures(GREY / 255.0), DataError, "images.npy", ("uint8", "float64")),
    Case(
        "16-bit pictures",
        pictures(GREY.astype(np.uint16), "h5"),
        DataError,
        "images.h5",
        ("uint8", "uint16"),
    ),
    Case(
        "grey pictures",
        pictures(GREY[..., 0]),
        DataError,
        "images.npy",
        ("(images, height, width, 3)",),
    ),
    Case(
        "channels first",
        pictures(np.moveaxis(GREY, -1, 1)),
        DataError,
        "images.npy",
        ("(6, 3, 8, 8)",),
    ),
    Case(
        "named picture",
        lambda root: (root / "images/00002.jpg").rename(root / "images/cat.jpg"),
        DataError,
        "cat.jpg",
        ("00017.jpg",),
    ),
    Case(
        "two pictures",
        lambda root: shutil.copy(root / "images/00002.jpg", root / "images/2.jpg"),
        DataError,
        "images",
        ("00002.jpg and 2.jpg",),
    ),
    # Splits and captions.
    Case(
        "broken json",
        write("splits.json", '{"train": [0, 1'),
        DataError,
        "splits.json",
        ("line 1",),
    ),
    Case(
        "split image unknown",
        write("splits.json", {"train": [0, 1], "test": [2, 60]}),
        DataError,
        "splits.json",
        ("images 60",),
    ),
    Case(
        "split leaks",
        write("splits.json", {"train": [0, 1], "test": [1, 2]}),
        LeakError,
        "splits.json",
        ("images 1",),
    ),
    Case(
        "split of text",
        write("splits.json", {"train": ["0"], "test": [1]}),
        DataError,
        "splits.json",
        ("whole numbers",),
    ),
    Case("one side", write("splits.json", {"train": [0]}), DataError, "splits.json", ("train",)),
    Case(
        "captions of no image",
        write("captions.json", {"60": ["x"]}),
        DataError,
        "captions.json",
        ("images 60",),
    ),
    Case(
        "caption no list",
        write("captions.json", {"0": "x"}),
        DataError,
        "captions.json",
        ("'0': 'x'",),
    ),
    Case(
        "source of no image",
        append("images_sources.tsv", "60\tcat\n"),
        DataError,
        "images_sources.tsv",
        ("60 in line",),
    ),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "demo"
    generate(folder, images=IMAGES, targets=TARGETS, repeats=REPEATS)
    # The counts would notice much of the damage before the check that is meant.
    kept = [row for row in (folder / "dataset.yaml").read_text().splitlines() if row[:2] != "n_"]
    (folder / "dataset.yaml").write_text("\n".join(kept) + "\n")
    return folder


def prepare(config: ArraysConfig, out: Path) -> None:
    """Open and stream the dataset, then look at every picture, as a run would."""
    out.mkdir()
    writer, tracker = ArtefactWriter(out), Tracker(out / "metrics.jsonl")
    run(StageContext(SimpleNamespace(dataset=config), {}, writer, tracker, 0, "0" * 64))
    dataset = open_dataset(config)
    for image in dataset.images["image"]:
        dataset.stimuli.read(int(image))


def test_the_undamaged_dataset_passes(good: Path, tmp_path: Path) -> None:
    prepare(ArraysConfig(root=str(good)), tmp_path / "out")
    assert (tmp_path / "out" / "responses.h5").is_file()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_damage_is_one_clear_error(case: Case, good: Path, tmp_path: Path) -> None:
    root = tmp_path / "demo"
    shutil.copytree(good, root)
    case.damage(root)
    with pytest.raises(NeuroattnError) as caught:
        prepare(ArraysConfig(root=str(root)), tmp_path / "out")
    error, message = caught.value, str(caught.value)
    assert type(error) is case.error, message
    assert error.file is not None
    assert case.file in error.file
    assert error.fix
    assert error.expected is not None
    assert error.found is not None
    for words in case.says:
        assert words in message, message
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "out" / "responses.h5").exists() or "images/" in error.file


def test_no_root_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.root=DIR"):
        prepare(ArraysConfig(), tmp_path / "out")
