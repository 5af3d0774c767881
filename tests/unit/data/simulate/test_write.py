"""The files: names, keys, types, scales, index bases, and one beta everywhere."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import loadmat
from threadpoolctl import threadpool_limits

from neuroattn.cli.main import main
from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, StorageError
from neuroattn.core.fingerprint import file_digest
from neuroattn.core.tables import read_tsv
from neuroattn.data.algonauts2023 import Algonauts2023Dataset
from neuroattn.data.algonauts2023_files import leaves as algonauts_leaves
from neuroattn.data.nsd import layout
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import Algonauts2023Config
from neuroattn.data.simulate import write
from neuroattn.data.simulate.gallery import enlarge
from neuroattn.data.simulate.image_files import png, to_int16
from neuroattn.data.simulate.rois import label_names
from neuroattn.data.simulate.sizes import Size
from neuroattn.data.volumes import open_image
from tests.chain import neuroattn
from tests.unit.data.simulate import plain_scenes
from tests.unit.data.simulate.plain_scenes import POCKET, plain_scene

VERTICES = POCKET.vertices
HALF_STEP = 1 / 600  # of int16 / 300
SMALL = replace(POCKET, sessions=1, shared=50, own=200, unseen=10, all_formats=False, vertices=42)


def values(path: Path) -> np.ndarray:
    with open_image(path) as image:
        return np.asarray(image.dataobj)


def fsaverage(root: Path, session: int, subject: str = "subj01") -> np.ndarray:
    """Betas (trials, targets), left before right."""
    sides = [
        values(layout.betas(root, subject, "fsaverage", "b3", session, hemisphere=side))
        for side in layout.HEMISPHERES
    ]
    return np.concatenate([side[:, 0, 0].T for side in sides], axis=1)


def truth(root: Path, *names: str, subject: str = "subj01") -> list[np.ndarray]:
    with h5py.File(root / "truth" / subject / "truth.h5") as file:
        return [file[name][:] for name in names]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One session on fsaverage alone. Read it, never change it."""
    with pytest.MonkeyPatch.context() as patch:
        return write_small(tmp_path_factory.mktemp("small") / "nsd", patch)


def write_small(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: Size = SMALL, **changes: int
) -> Path:
    monkeypatch.setattr(write, "composer", plain_scenes.composer)
    return write.simulate(folder, size, **changes)


# --- one beta everywhere


def test_fsaverage_betas_are_unscaled_big_endian_floats(pocket):
    for side in layout.HEMISPHERES:
        path = layout.betas(pocket, "subj01", "fsaverage", "b3", 1, hemisphere=side)
        with open_image(path) as image:
            assert image.shape == (VERTICES, 1, 1, 750)
            assert image.get_data_dtype() == np.dtype(layout.FSAVERAGE_DTYPE)
            assert 1.0 < np.asarray(image.dataobj).std() < 3.0


@pytest.mark.parametrize("space", layout.VOLUMES)
@pytest.mark.parametrize("session", [1, 2])
def test_volumes_hold_the_betas_of_fsaverage(pocket, space, session):
    targets, voxels = truth(pocket, f"{space}/targets", f"{space}/voxels")
    expected = fsaverage(pocket, session)[:, targets]
    stored = values(layout.betas(pocket, "subj01", space, "b3", session, format="nifti"))
    assert stored.dtype == np.int16  # and no scale in the header, which would make it float
    with h5py.File(layout.betas(pocket, "subj01", space, "b3", session, format="hdf5")) as file:
        data = file["betas"]
        assert data.dtype == np.int16
        assert data.chunks == (750, 1, 1, 1)
        assert np.array_equal(data[:], stored.T)  # axes reversed, nothing else
    found = stored[tuple(voxels.T)].T / layout.BETAS_SCALE
    assert np.abs(found - expected).max() <= HALF_STEP + 1e-5
    used = np.zeros(stored.shape[:3], dtype=bool)
    used[tuple(voxels.T)] = True
    assert used.sum() == len(targets)  # a voxel of its own for each
    assert not stored[~used].any()


@pytest.mark.parametrize("subject", ["subj01", "subj02"])
def test_native_surfaces_hold_the_betas_of_fsaverage(pocket, subject):
    expected = fsaverage(pocket, 2, subject)
    for number, side in enumerate(layout.HEMISPHERES):
        path = layout.betas(pocket, subject, "nativesurface", "b3", 2, hemisphere=side)
        nearest = values(layout.to_fsaverage(pocket, subject, side)).ravel() - 1
        with h5py.File(path) as file:
            data = file["betas"]
            assert data.shape[1] > VERTICES
            assert data.chunks == (750, 1)
            found = data[:][:, nearest] / layout.BETAS_SCALE
        own = expected[:, number * VERTICES : (number + 1) * VERTICES]
        assert np.abs(found - own).max() <= HALF_STEP + 1e-5


def test_subjects_differ_in_everything_but_the_shared_images(pocket):
    first, second = (values(layout.to_fsaverage(pocket, s, "lh")) for s in ("subj01", "subj02"))
    assert not np.array_equal(first, second)
    images = [set(truth(pocket, "image", subject=s)[0]) for s in ("subj01", "subj02")]
    shared = set(loadmat(layout.expdesign(pocket))["sharedix"].ravel() - 1)
    assert images[0] & images[1] <= shared
    assert len(images[0] & images[1]) == POCKET.shared
    planted = [truth(pocket, "planted", subject=s)[0] for s in ("subj01", "subj02")]
    assert not np.array_equal(*planted)


def test_betas_out_of_range_are_clipped_and_no_data_is_zero():
    betas = np.array([[1.0, -0.0017, 200.0, np.nan]], dtype=np.float32)
    assert to_int16(betas).tolist() == [[300, -1, 32767, 0]]


# --- ids


def test_noiseless_responses_join_betas_through_the_design(pocket):
    """An off-by-one in ids, sessions or hemispheres would leave no correlation."""
    design = loadmat(layout.expdesign(pocket))
    shown = design["subjectim"][0][design["masterordering"][0].astype(int) - 1].astype(int) - 1
    noiseless, images, planted, ncsnr = truth(pocket, "noiseless", "image", "planted", "ncsnr")
    for session in (1, 2):
        rows = np.searchsorted(images, shown[(session - 1) * 750 : session * 750])
        betas = fsaverage(pocket, session)[:, planted]
        found = [np.corrcoef(noiseless[rows, i], betas[:, i])[0, 1] for i in range(len(planted))]
        expected = ncsnr[planted] / np.sqrt(1 + ncsnr[planted] ** 2)
        assert abs(np.mean(found - expected)) < 0.02
        shifted = [np.corrcoef(noiseless[np.roll(rows, 1), i], betas[:, i])[0, 1] for i in range(9)]
        assert np.abs(shifted).max() < 0.15


def test_the_behaviour_counts_from_one_and_agrees_with_the_design(pocket):
    table = pd.read_csv(layout.responses(pocket, "subj02"), sep="\t")
    design = loadmat(layout.expdesign(pocket))
    assert len(table.columns) == 19
    assert len(table) == 2 * 750
    assert np.array_equal(table["10KID"], design["masterordering"][0][:1500])
    assert np.array_equal(table["73KID"], design["subjectim"][1][table["10KID"] - 1])
    assert table.groupby("SESSION")["RUN"].max().tolist() == [12, 12]
    assert table.groupby(["SESSION", "RUN"])["TRIAL"].max().tolist() == [63, 62] * 12
    old = table["73KID"].duplicated().to_numpy()
    assert np.array_equal(table["ISOLD"] == 1, old)
    assert np.array_equal(table["MEMORYRECENT"].notna(), old)
    gap = int(table.loc[old, "MEMORYRECENT"].iloc[0])
    row = int(np.flatnonzero(old)[0])
    assert table["73KID"][row - gap - 1] == table["73KID"][row]


def test_the_stimulus_table_has_nsds_columns(pocket):
    table = pd.read_csv(layout.stim_info(pocket))
    assert table.shape == (73_000, 41)
    assert table.columns[0] == "Unnamed: 0"
    assert np.array_equal(table["nsdId"], np.arange(73_000))
    shared = loadmat(layout.expdesign(pocket))["sharedix"].ravel() - 1
    assert np.array_equal(np.flatnonzero(table["shared1000"]), shared)
    ordering = loadmat(layout.expdesign(pocket))["masterordering"][0]
    images = loadmat(layout.expdesign(pocket))["subjectim"][4]
    trial = int(table["subject5_rep1"][images[ordering[0] - 1] - 1])
    assert ordering[trial - 1] == ordering[0]
    assert table["cocoId"].is_unique
    assert set(table["cocoSplit"]) == set(layout.COCO_SPLITS)


def test_captions_and_boxes_join_through_the_crop(pocket):
    table = pd.read_csv(layout.stim_info(pocket))
    things = read_tsv(pocket / "truth/things.tsv").groupby("scene")
    captions = read_tsv(pocket / "truth/scenes.tsv").set_index("scene")["caption"]
    scene_of = read_tsv(pocket / "truth/images.tsv").set_index("image")["scene"]
    image_of = table.set_index("cocoId")["nsdId"]
    seen = 0
    for split in layout.COCO_SPLITS:
        text = json.loads(layout.coco_annotations(pocket, split, "captions").read_text())
        first = text["annotations"][0]
        image = image_of[first["image_id"]]
        assert table["cocoSplit"][image] == split
        assert first["caption"] == captions[scene_of[image]]
        boxes = json.loads(layout.coco_annotations(pocket, split, "instances").read_text())
        size = {row["id"]: (row["width"], row["height"]) for row in boxes["images"]}
        names = {row["id"]: row["name"] for row in boxes["categories"]}
        for row in boxes["annotations"][:40]:
            image = image_of[row["image_id"]]
            thing = things.get_group(scene_of[image]).iloc[row["id"] % 8]
            top, bottom, left, right = map(float, table["cropBox"][image].strip("()").split(","))
            width, height = size[row["image_id"]]
            assert width * (1 - left - right) == height * (1 - top - bottom)  # a square
            scale = POCKET.side / (width * (1 - left - right))
            x, y, w, h = row["bbox"]
            found = ((y - top * height) * scale, (x - left * width) * scale, h * scale, w * scale)
            wanted = thing[["top", "left", "height", "width"]].to_list()
            assert found == pytest.approx(wanted, abs=0.01)
            assert names[row["category_id"]] == thing["category"]
            seen += 1
    assert seen == 80


# --- pictures


def test_the_brick_has_its_declared_shape_and_the_scenes_in_it(pocket):
    images = read_tsv(pocket / "truth/images.tsv")
    with h5py.File(layout.stimuli(pocket)) as file:
        brick = file["imgBrick"]
        assert brick.shape == (73_000, 425, 425, 3)
        assert brick.dtype == np.uint8
        assert brick.id.get_num_chunks() == len(images) == 900
        for row in (0, 500, 899):
            unseen = bool(images["unseen"][row])
            scene = plain_scene(int(images["scene"][row]), unseen=unseen)
            assert np.array_equal(brick[int(images["image"][row])], enlarge(scene.pixels))
    assert layout.stimuli(pocket).stat().st_size < 60e6


def test_a_scene_can_be_had_back_from_its_picture():
    pixels = plain_scene(1, side=160).pixels
    middle = ((np.arange(160) + 0.5) * 425 / 160).astype(int)
    assert np.array_equal(enlarge(pixels)[middle][:, middle], pixels)


def test_masks_stand_where_the_boxes_say(pocket):
    things = read_tsv(pocket / "truth/things.tsv")
    with h5py.File(pocket / "truth/masks.h5") as file:
        masks = np.unpackbits(file["masks"][:], axis=2).astype(bool)
    assert len(masks) == len(things)
    for row in (0, 7, len(things) - 1):
        top, left, height, width = things.loc[row, ["top", "left", "height", "width"]]
        inside = np.zeros_like(masks[row])
        inside[top : top + height, left : left + width] = True
        assert masks[row].any()
        assert not (masks[row] & ~inside).any()


# --- labels and ncsnr


@pytest.mark.parametrize("collection", ["prf-visualrois", "floc-faces", "floc-words"])
def test_labels_name_the_right_targets_in_every_space(pocket, collection):
    table = read_tsv(pocket / "truth/subj02/targets.tsv")
    names = label_names(collection)
    wanted = np.array([next((k for k, n in names.items() if n == r), 0) for r in table["roi"]])
    lines = layout.ctab(pocket, "subj02", collection).read_text().splitlines()
    assert lines == ["0 Unknown", *(f"{number} {name}" for number, name in names.items())]
    for number, side in enumerate(layout.HEMISPHERES):
        nearest = values(layout.to_fsaverage(pocket, "subj02", side)).ravel() - 1
        native = values(layout.roi_surface(pocket, "subj02", collection, side)).ravel()
        own = wanted[number * VERTICES : (number + 1) * VERTICES]
        assert np.array_equal(native[nearest], own)
        assert native.sum() == own.sum()  # nothing on the vertices of its own
    for space in layout.VOLUMES:
        targets, voxels = truth(pocket, f"{space}/targets", f"{space}/voxels", subject="subj02")
        volume = values(layout.roi_volume(pocket, "subj02", space, collection))
        assert np.array_equal(volume[tuple(voxels.T)], wanted[targets])
        assert (volume == -1).sum() == volume.size - len(targets)
        right = values(layout.roi_volume(pocket, "subj02", space, collection, "rh"))
        is_right = targets >= VERTICES
        assert np.array_equal(right[tuple(voxels[is_right].T)], wanted[targets[is_right]])
        assert (right[tuple(voxels[~is_right].T)] == -1).all()


def test_group_atlases_are_on_fsaverage_and_the_others_are_not(pocket):
    for side in layout.HEMISPHERES:
        for name in ("nsdgeneral", "streams"):
            labels = values(layout.roi_surface(pocket, layout.FSAVERAGE, name, side))
            assert labels.shape == (VERTICES, 1, 1)
            assert labels.max() > 0
        assert not layout.roi_surface(pocket, layout.FSAVERAGE, "floc-faces", side).exists()


def test_ncsnr_is_the_same_in_every_space_and_missing_outside(pocket):
    sides = [values(layout.ncsnr(pocket, "subj01", "fsaverage", "b3", s)) for s in ("lh", "rh")]
    whole = np.concatenate([side.ravel() for side in sides])
    table = read_tsv(pocket / "truth/subj01/targets.tsv")
    assert np.allclose(whole, table["ncsnr_estimated"], atol=1e-5)
    planted = table["kind"] != "null"
    assert abs((whole - table["ncsnr"])[planted].mean()) < 0.02
    targets, voxels = truth(pocket, "func1mm/targets", "func1mm/voxels")
    volume = values(layout.ncsnr(pocket, "subj01", "func1mm", "b3"))
    assert np.array_equal(volume[tuple(voxels.T)], whole[targets])
    assert np.isnan(volume).sum() == volume.size - len(targets)


def test_localiser_maps_cover_native_surface_and_volumes(pocket):
    contrast = layout.FLOC_CONTRASTS["floc-faces"]
    native = values(layout.floc_tmap(pocket, "subj01", "nativesurface", contrast, "lh")).ravel()
    labels = values(layout.roi_surface(pocket, "subj01", "floc-faces", "lh")).ravel()
    assert native[labels > 0].min() > native[labels == 0].mean() + 1
    assert layout.floc_tmap(pocket, "subj01", "func1pt8mm", contrast).is_file()


# --- Algonauts


def test_algonauts_form(pocket):
    folder = pocket / "algonauts2023/subj01"
    training = sorted((folder / "training_split/training_images").iterdir())
    test = sorted((folder / "test_split/test_images").iterdir())
    ids = [int(path.stem.split("nsd-")[1]) for path in training]
    assert ids == sorted(ids)
    assert training[0].name.startswith("train-0001_nsd-")
    assert len(training) + len(test) == 500
    shown = pd.read_csv(layout.responses(pocket, "subj01"), sep="\t")
    last = shown.groupby("73KID")["SESSION"].min()
    assert {int(path.stem.split("nsd-")[1]) + 1 for path in test} == set(last[last == 2].index)
    with h5py.File(layout.stimuli(pocket)) as file:
        assert np.array_equal(np.asarray(Image.open(training[5])), file["imgBrick"][ids[5]])
    for side in layout.HEMISPHERES:
        betas = np.load(folder / f"training_split/training_fmri/{side}_training_fmri.npy")
        mask = np.load(folder / f"roi_masks/{side}.all-vertices_fsaverage_space.npy")
        labels = np.load(folder / f"roi_masks/{side}.floc-faces_fsaverage_space.npy")
        inside = np.load(folder / f"roi_masks/{side}.floc-faces_challenge_space.npy")
        assert betas.shape == (len(training), mask.sum())
        assert betas.dtype == np.float32
        assert np.array_equal(labels[mask == 1], inside)


def test_algonauts_form_is_read_as_simulated(pocket):
    config = Algonauts2023Config(root=str(pocket / "algonauts2023"))
    assert Algonauts2023Dataset(config).description.simulated
    assert algonauts_leaves(config)["SIMULATED.json"] == layout.simulated(pocket)


def test_algonauts_responses_are_means_of_z_scored_betas(pocket):
    folder = pocket / "algonauts2023/subj01"
    name = sorted((folder / "training_split/training_images").iterdir())[3].stem
    image = int(name.split("nsd-")[1])
    shown = pd.read_csv(layout.responses(pocket, "subj01"), sep="\t")["73KID"].to_numpy() - 1
    z = []
    for session in (1, 2):
        betas = fsaverage(pocket, session)[:, :VERTICES].astype(np.float64)
        scored = (betas - betas.mean(axis=0)) / betas.std(axis=0, ddof=1)
        z.append(scored[shown[(session - 1) * 750 : session * 750] == image])
    mask = np.load(folder / "roi_masks/lh.all-vertices_fsaverage_space.npy") == 1
    found = np.load(folder / "training_split/training_fmri/lh_training_fmri.npy")[3]
    assert np.allclose(found, np.concatenate(z).mean(axis=0)[mask], atol=1e-4)


def test_png_is_what_any_reader_reads():
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(picture)))), picture)


# --- truth and description


def test_everything_says_that_it_is_simulated(pocket):
    description = json.loads(layout.simulated(pocket).read_text())
    assert description["label"] == "simulated responses"
    assert description["simulated"] is True
    assert str(VERTICES) in description["deviations"]["vertices"]
    assert description["ncsnr"]["version"] == layout.VERSIONS["b3"]
    assert "Simulated responses" in (pocket / "README.md").read_text()


def test_splits_part_images_and_exemplars(pocket):
    splits = json.loads((pocket / "truth/splits.json").read_text())
    images = read_tsv(pocket / "truth/images.tsv").set_index("image")
    for split in splits.values():
        assert not set(split["train"]) & set(split["test"])
        assert not images.loc[split["train"], "unseen"].any()
    assert len(splits["unseen_exemplars"]["test"]) == POCKET.unseen
    assert len(splits["shared"]["test"]) == POCKET.shared


def test_the_oracle_reaches_its_ceiling(pocket):
    table = read_tsv(pocket / "truth/subj01/targets.tsv")
    planted = table[table["kind"] != "null"]
    assert abs((planted["oracle_r"] - planted["ceiling_r"]).mean()) < 0.03


# --- the folder


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): file_digest(path) for path in files}


def test_the_same_parameters_give_the_same_bytes(small, tmp_path, monkeypatch):
    assert digests(write_small(tmp_path / "b", monkeypatch)) == digests(small)


def test_and_whatever_the_number_of_threads(tmp_path, monkeypatch):
    size, found = replace(SMALL, vertices=642), []  # products of fewer are not shared out
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(digests(write_small(tmp_path / str(threads), monkeypatch, size)))
    assert found[0] == found[1]


def test_what_is_there_is_kept(small, monkeypatch):
    before = layout.expdesign(small).stat()
    assert write_small(small, monkeypatch) == small
    assert layout.expdesign(small).stat() == before


def test_what_is_not_ours_is_refused(small, tmp_path, monkeypatch):
    with pytest.raises(StorageError, match="something else"):
        write_small(small, monkeypatch, seed=2)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(StorageError, match="something else"):
        write_small(tmp_path, monkeypatch)


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(write, "build_gallery", fail)
    with pytest.raises(RuntimeError, match="no more"):
        write_small(tmp_path / "a", monkeypatch)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("subjects", [0, 9])
def test_nsd_has_eight_subjects(tmp_path, subjects):
    with pytest.raises(ConfigError, match="number of subjects"):
        write.simulate(tmp_path / "a", "tiny", subjects=subjects)


def test_sizes_have_names(tmp_path):
    with pytest.raises(ConfigError, match="no such size"):
        write.simulate(tmp_path / "a", "huge")


def test_the_command_writes_and_prints_the_folder(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(write, "composer", plain_scenes.composer)
    monkeypatch.setattr(write, "size_named", lambda name: replace(SMALL, name=name))
    assert main(["data", "simulate", str(tmp_path / "x"), "size=demo", "--seed", "3"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "x")]
    parameters = json.loads(layout.simulated(tmp_path / "x").read_text())["parameters"]
    assert (parameters["size"]["name"], parameters["seed"]) == ("demo", 3)
    same = {name for name, _ in digests(tmp_path / "x").items() & digests(small).items()}
    made = (".mgh", ".hdf5", ".mat", ".csv", ".json", ".h5", "targets.tsv", "responses.tsv")
    assert not [name for name in same if name.endswith(made)]  # another seed


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny` as the command writes it. Read only."""
    return write.simulate(tmp_path_factory.mktemp("real") / "tiny", "tiny")


def prepared(root: Path, out: Path, *words: str) -> Prepared:
    ran = neuroattn("prepare", "dataset=nsd", f"dataset.root={root}", f"paths.root={out}", *words)
    assert ran.code == 0, ran.err
    return Prepared(Artefact(ran.path))


@pytest.mark.slow
def test_tiny_with_real_scenes(tiny):
    betas = fsaverage(tiny, 2)
    assert betas.shape == (750, 2 * 10_242)
    table = read_tsv(tiny / "truth/subj01/targets.tsv")
    counts = table.groupby(["roi", "hemisphere"])["target"].count()
    assert counts.drop("null").between(29, 40).all()


@pytest.mark.slow
@pytest.mark.parametrize("trial_set", ["core", "synthetic", "imagery"])
def test_tiny_at_one_millimetre_through_prepare(tiny, tmp_path, trial_set):
    data = prepared(tiny, tmp_path, "dataset.space=func1mm", f"dataset.trial_set={trial_set}",
                    "dataset.store=float32")  # fmt: skip
    targets, voxels = truth(tiny, "func1mm/targets", "func1mm/voxels")
    ncsnr = values(layout.ncsnr(tiny, "subj01", "func1mm", "b3"))
    number = np.ravel_multi_index(tuple(voxels.T), ncsnr.shape, order="F")
    known = dict(zip(number.tolist(), targets.tolist(), strict=True))
    target = [known[voxel] for voxel in data.targets["vertex"]]
    if trial_set == "core":
        expected = np.concatenate([fsaverage(tiny, session) for session in (1, 2)])[:, target]
        assert np.abs(data.responses() - expected).max() <= HALF_STEP + 1e-5
    else:
        assert len(data.trials) == {"synthetic": 744, "imagery": 192}[trial_set]
    names = read_tsv(tiny / "truth/subj01/targets.tsv")["roi"].to_numpy()[target]
    for name, rois in zip(names, data.targets["rois"], strict=True):
        assert name == "null" or name in rois.split("|")


@pytest.mark.slow
def test_nsd_like_through_prepare(tmp_path):
    root = write.simulate(tmp_path / "like", "nsd_like")
    data = prepared(root, tmp_path / "out", "dataset.store=float32")
    assert len(data.trials) == 30_000
    assert data.trials["session"].nunique() == 40
    assert data.trials["image"].value_counts().eq(3).all()
    assert data.trials["image"].nunique() == 10_000
    assert {name: len(sides["test"]) for name, sides in data.splits.items()}["shared1000"] == 1000
    assert len(data.splits["shared515"]["test"]) == 515
