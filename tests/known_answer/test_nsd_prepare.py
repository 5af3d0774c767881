"""``neuroattn prepare`` on betas that tell which image, place and trial they are of.

Sixteen bits hold all three: image id (5 bits), place in the file (5; the right hemisphere counts
on from the left) and trial of the experiment (6). Every beta that comes out says so of itself,
in every space and format, so a shift by one anywhere between the files and the artefact fails.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from neuroattn.core.artefact import Artefact
from neuroattn.data.nsd import layout
from neuroattn.data.prepared import Prepared
from tests.chain import neuroattn
from tests.nsd_files import picture

SESSIONS, TRIALS, RUNS = 4, 16, (9, 7)
IMAGES, SEEN, SHARED = 30, 20, 6  # in imgBrick, of a subject, of those shared
VOLUME = (4, 3, 2)
VERTICES = {"fsaverage": (15, 15), "nativesurface": (14, 17)}
REGIONS = ("V1v", "V1d", "V2v")
EVERY = [
    # func1mm is read as func1pt8mm is, from other folders.
    pytest.param(space, kind, marks=[pytest.mark.slow] * (space == "func1mm"))
    for space, kinds in layout.FORMATS.items()
    for kind in kinds
]
FILES = [tuple(case.values) for case in EVERY]
SUBJECT = "subj02"  # not the first row of anything


def told(image: np.ndarray, place: np.ndarray, trial: np.ndarray) -> np.ndarray:
    """The integer (trials, places) that says image, place and trial of a beta."""
    whole = (image[:, None] << 11) + (place[None] << 6) + trial[:, None]
    return whole - 32_768


def says(betas: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, place and trial that betas in % signal change say of themselves."""
    whole = np.rint(betas.astype(np.float64) * layout.BETAS_SCALE).astype(np.int64) + 32_768
    return whole >> 11, (whole >> 6) & 31, whole & 63


def design() -> tuple[np.ndarray, np.ndarray]:
    """Places of the trials' images (trials,), and 73k ids (subjects, images), from 0."""
    random = np.random.default_rng(0)
    ordering = random.permutation(np.arange(SESSIONS * TRIALS) % SEEN)
    shared = np.sort(random.permutation(IMAGES)[:SHARED])
    rest = np.setdiff1d(np.arange(IMAGES), shared)
    rows = [np.concatenate([shared, random.permutation(rest)[: SEEN - SHARED]]) for _ in range(3)]
    return ordering, np.stack(rows)


def label_of(place: np.ndarray) -> np.ndarray:
    """Region of a place: none, or one of `REGIONS` from 1."""
    return (place * 7) % 4


def parts(space: str) -> list[tuple[str | None, np.ndarray]]:
    """Sides and the places they hold, counted over both."""
    if space in layout.VOLUMES:
        return [(None, np.arange(np.prod(VOLUME)))]
    left, right = VERTICES[space]
    return [("lh", np.arange(left)), ("rh", left + np.arange(right))]


@pytest.fixture(scope="module")
def fabricated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NSD of one subject in every space and format."""
    root = tmp_path_factory.mktemp("told")
    ordering, images = design()
    write_design(root, ordering, images)
    shown = images[int(SUBJECT[4:]) - 1][ordering]
    for space, kind in FILES:
        write_labels(root, space)
        for side, place in parts(space):
            for session in range(1, SESSIONS + 1):
                trial = np.arange((session - 1) * TRIALS, session * TRIALS)
                path = new(layout.betas(
                    root, SUBJECT, space, "b2", session, hemisphere=side, format=kind
                ))  # fmt: skip
                write_betas(path, kind, told(shown[trial], place, trial))
    return root


def write_design(root: Path, ordering: np.ndarray, images: np.ndarray) -> None:
    pattern = np.zeros((SESSIONS, len(RUNS), max(RUNS) + 2))
    for run, length in enumerate(RUNS):
        pattern[:, run, 1 : length + 1] = 1
    content = {
        "masterordering": ordering[None] + 1.0, "subjectim": images + 1.0,
        "sharedix": images[0, :SHARED][None] + 1.0, "basiccnt": np.zeros((3, SESSIONS)),
        "stimpattern": pattern,
    }  # fmt: skip
    savemat(new(layout.expdesign(root)), content)
    with h5py.File(new(layout.stimuli(root)), "w") as file:
        file[layout.STIMULI_KEY] = picture(np.arange(IMAGES))
    shown = images[int(SUBJECT[4:]) - 1][ordering]
    with new(layout.responses(root, SUBJECT)).open("w", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t")
        writer.writerow(layout.RESPONSES_COLUMNS)
        for trial, image in enumerate(shown):
            session, within = divmod(trial, TRIALS)
            run = 1 + (within >= RUNS[0])
            writer.writerow([2, session + 1, run, within + 1, image + 1, ordering[trial] + 1])


def write_labels(root: Path, space: str) -> None:
    """`label_of` every place; on fsaverage through the subject's surface, in another order."""
    names = "\n".join(["0 Unknown", *(f"{n} {name}" for n, name in enumerate(REGIONS, start=1))])
    new(layout.ctab(root, SUBJECT, "prf-visualrois")).write_text(names + "\n")
    for side, place in parts(space):
        labels = label_of(place)
        if side is None:
            path = new(layout.roi_volume(root, SUBJECT, space, "prf-visualrois"))
            write_map(path, np.where(place == 5, -1, labels))
        elif space == "nativesurface":
            write_map(new(layout.roi_surface(root, SUBJECT, "prf-visualrois", side)), labels)
    if space == "fsaverage":
        # Vertex v of the mesh is nearest to vertex `order[v]` of the subject, which has the label.
        for (side, place), (_, own) in zip(parts(space), parts("nativesurface"), strict=True):
            known = {label: int(np.flatnonzero(label_of(own) == label)[0]) for label in range(4)}
            nearest = np.array([known[label] for label in label_of(place)])
            write_map(new(layout.to_fsaverage(root, SUBJECT, str(side))), nearest + 1)


def write_betas(path: Path, kind: str, whole: np.ndarray) -> None:
    """Integers (trials, places) in the form of a file."""
    if kind == "mgh":
        betas = (whole / layout.BETAS_SCALE).astype(np.float32).T
        nib.save(nib.MGHImage(betas.reshape(-1, 1, 1, len(whole)), np.eye(4)), path)
    elif kind == "nifti":
        array = whole.T.astype(np.int16).reshape(*VOLUME, len(whole), order="F")
        nib.save(nib.Nifti1Image(array, np.eye(4), dtype=np.int16), path)
    else:
        volume = whole.shape[1] == np.prod(VOLUME)
        shape = (len(whole), *(VOLUME[::-1] if volume else (whole.shape[1],)))
        with h5py.File(path, "w") as file:
            chunk = (len(whole), *[1] * (len(shape) - 1))
            array = whole.astype(np.int16).reshape(shape)
            file.create_dataset(layout.BETAS_KEY, data=array, chunks=chunk)


def write_map(path: Path, values: np.ndarray) -> None:
    array = values.astype(np.float32)
    if path.name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(array.reshape(VOLUME, order="F"), np.eye(4)), path)
    else:
        nib.save(nib.MGHImage(array.reshape(-1, 1, 1), np.eye(4)), path)


def new(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Prepared]:
    def run(name: str, root: Path, *words: str) -> Prepared:
        ran = neuroattn(
            "prepare", f"dataset={name}", f"dataset.root={root}", f"paths.root={tmp_path}", *words
        )
        assert ran.code == 0, ran.err
        return Prepared(Artefact(ran.path))

    return run


@pytest.mark.parametrize(("space", "kind"), EVERY)
def test_every_beta_is_of_its_image_place_and_trial(fabricated, prepare, space, kind):
    data = prepare(
        "nsd", fabricated, f"dataset.subjects=[{SUBJECT}]", f"dataset.space={space}",
        f"dataset.format={kind}", "dataset.betas=b2", "dataset.mask=all", "dataset.ncsnr=none",
        "dataset.rois=[prf-visualrois]", "dataset.sessions=[2,3,4]", "dataset.store=float32",
    )  # fmt: skip
    image, place, trial = says(data.responses())
    ordering, images = design()
    expected = np.arange(TRIALS, SESSIONS * TRIALS)  # session 1 was left out
    assert (trial == expected[:, None]).all()
    shown = images[1][ordering[expected]]
    assert data.trials["image"].tolist() == shown.tolist()
    assert (image == shown[:, None]).all()
    assert data.trials["session"].tolist() == (1 + expected // TRIALS).tolist()
    assert data.trials["run"].tolist() == (1 + (expected % TRIALS >= RUNS[0])).tolist()
    assert (place == place[0]).all()
    targets = data.targets
    first = 0 if space in layout.VOLUMES else parts(space)[1][1][0]
    right = targets["hemisphere"].eq("rh").to_numpy()
    assert place[0].tolist() == (targets["vertex"].to_numpy(np.int64) + first * right).tolist()
    assert place[0].tolist() == list(range(sum(len(part) for _, part in parts(space))))
    regions = ["", *REGIONS]
    wanted = [regions[label] for label in label_of(place[0])]
    if space in layout.VOLUMES:
        wanted[5] = ""  # outside the cortex
    assert targets["rois"].tolist() == wanted
    files = data.images.set_index("image")["file"]
    assert all(files[number] == f"imgBrick[{number}]" for number in np.unique(shown))


def test_every_mean_of_the_challenge_is_of_its_image_and_vertex(tmp_path, prepare):
    """The rows of the arrays are the pictures by name; the columns the vertices of the mask."""
    root, random = tmp_path / "challenge", np.random.default_rng(1)
    folder = root / SUBJECT
    ids = np.sort(random.permutation(73_000)[:12])
    names = ("prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams")
    for name in names:
        table = np.array({0: "Unknown"} | dict(enumerate(REGIONS, start=1)), dtype=object)
        np.save(new(folder / f"roi_masks/mapping_{name}.npy"), table, allow_pickle=True)
    inside = {side: np.sort(random.permutation(163_842)[:5]) for side in layout.HEMISPHERES}
    for part, some in (("train", ids[:9]), ("test", ids[9:])):
        for number, image in enumerate(some, start=1):
            kind = "training" if part == "train" else "test"
            name = f"{part}-{number:04d}_nsd-{image:05d}.png"
            path = new(folder / f"{kind}_split/{kind}_images/{name}")
            Image.fromarray(picture(np.array([image]))[0]).save(path)
    for at, (side, vertices) in enumerate(inside.items()):
        fmri = np.arange(9)[:, None] * 100.0 + 10 * at + np.arange(5)
        path = new(folder / f"training_split/training_fmri/{side}_training_fmri.npy")
        np.save(path, fmri.astype(np.float32))
        mask = np.zeros(163_842, dtype=np.int64)
        mask[vertices] = 1
        np.save(new(folder / f"roi_masks/{side}.all-vertices_fsaverage_space.npy"), mask)
        for name in names:
            labels = np.where(mask > 0, np.arange(163_842) % 4, 0)
            np.save(folder / f"roi_masks/{side}.{name}_fsaverage_space.npy", labels)
            np.save(folder / f"roi_masks/{side}.{name}_challenge_space.npy", labels[vertices])
    data = prepare("algonauts2023", root, f"dataset.subjects=[{SUBJECT}]")
    assert data.trials["image"].tolist() == ids[:9].tolist()
    expected = np.arange(9)[:, None] * 100.0 + np.concatenate([np.arange(5), 10 + np.arange(5)])
    assert np.array_equal(data.responses(), expected)
    assert data.targets["hemisphere"].tolist() == ["lh"] * 5 + ["rh"] * 5
    vertex = np.concatenate(list(inside.values()))
    assert data.targets["vertex"].tolist() == vertex.tolist()
    regions = np.array(["", *REGIONS])[vertex % 4]
    for row, region in zip(data.targets["rois"], regions, strict=True):
        assert row.split("|")[0] == region
    told_by = data.images.set_index("image")["file"]
    assert all(f"nsd-{image:05d}" in told_by[image] for image in ids[:9])


def test_the_betas_would_notice_a_shift():
    image, place, trial = says(told(np.arange(30), np.arange(31), np.arange(30)) / 300)
    assert (image == np.arange(30)[:, None]).all()
    assert (place == np.arange(31)).all()
    assert (trial == np.arange(30)[:, None]).all()
