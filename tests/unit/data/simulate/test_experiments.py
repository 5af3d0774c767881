"""Versions of the betas, NSD-synthetic and NSD-imagery: the files, and what is planted in them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.core.tables import read_tsv
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.stimuli import as_light, as_sent
from neuroattn.data.prepared import Prepared
from neuroattn.data.simulate import imagery, synthetic
from neuroattn.data.simulate.noise import NOISE
from neuroattn.data.simulate.sizes import SIZES, with_choices
from neuroattn.data.simulate.synthetic_pictures import colour_pictures, shared_pictures
from neuroattn.data.volumes import open_image
from tests.chain import neuroattn
from tests.unit.data.simulate.plain_scenes import DISPLAY, MINI, composer

BESIDE = {layout.SYNTHETIC: 744, layout.IMAGERY: 720}


def values(path: Path) -> np.ndarray:
    with open_image(path) as image:
        return np.asarray(image.dataobj)


def fsaverage(root: Path, version: str, trial_set: str = layout.CORE) -> np.ndarray:
    """Betas (trials, targets), left before right."""
    sides = [
        layout.betas(root, "subj01", "fsaverage", version, 1, hemisphere=side, trial_set=trial_set)
        for side in layout.HEMISPHERES
    ]
    return np.concatenate([values(path)[:, 0, 0].T for path in sides], axis=1)


def truth(root: Path, *names: str) -> list[np.ndarray]:
    with h5py.File(root / "truth/subj01/truth.h5") as file:
        return [file[name][:] for name in names]


def columns_r(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of every column of one with that of the other."""
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    norm = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    return (first * second).sum(axis=0) / np.where(norm > 0, norm, 1)


def prepared(root: Path, out: Path, *words: str) -> Prepared:
    ran = neuroattn("prepare", "dataset=nsd", f"dataset.root={root}", f"paths.root={out}", *words)
    assert ran.code == 0, ran.err
    return Prepared(Artefact(ran.path))


def planted_columns(data: Prepared, planted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the responses that hold planted targets, and their places among those."""
    right = data.targets["hemisphere"].eq("rh").to_numpy()
    target = data.targets["vertex"].to_numpy(dtype=np.int64) + right * MINI.vertices
    columns = np.flatnonzero(np.isin(target, planted))
    return columns, np.searchsorted(planted, target[columns])


# --- versions


def test_every_version_has_the_truth_under_more_noise(mini):
    noiseless, images, planted = truth(mini, "noiseless", "image", "planted")
    shown = pd.read_csv(layout.responses(mini, "subj01"), sep="\t")["73KID"].to_numpy() - 1
    signal = noiseless[np.searchsorted(images, shown)]
    betas = {version: fsaverage(mini, version)[:, planted] for version in layout.VERSIONS}
    found = {version: columns_r(signal, part).mean() for version, part in betas.items()}
    assert found["b1"] < found["b2"] - 0.01 < found["b3"] - 0.05
    gap = columns_r(betas["b3"], betas["b2"]).mean()  # most noise is the same
    assert gap > columns_r(betas["b3"], betas["b1"]).mean() > 0.6


@pytest.mark.parametrize("version", layout.VERSIONS)
def test_ncsnr_of_each_version_is_that_of_its_betas(mini, version):
    planted, wanted = truth(mini, "planted", f"versions/{version}/ncsnr")
    sides = [values(layout.ncsnr(mini, "subj01", "fsaverage", version, s)) for s in ("lh", "rh")]
    found = np.concatenate([side.ravel() for side in sides])[planted]
    assert abs(np.median(found - wanted[planted])) < 0.05
    assert wanted[planted] == pytest.approx(truth(mini, "ncsnr")[0][planted] / NOISE[version])


def test_spaces_have_the_versions_of_nsd(mini):
    for space, versions in layout.VERSIONS_IN.items():
        for version in layout.VERSIONS:
            there = layout.betas_folder(mini, "subj01", space, version).is_dir()
            assert there == (version in versions), (space, version)


@pytest.mark.parametrize("trial_set", [layout.CORE, *BESIDE])
def test_a_version_has_one_beta_in_every_space(mini, trial_set):
    expected = fsaverage(mini, "b2", trial_set)
    where = {"trial_set": trial_set}
    for space in layout.VOLUMES:
        targets, voxels = truth(mini, f"{space}/targets", f"{space}/voxels")
        path = layout.betas(mini, "subj01", space, "b2", 1, format="nifti", **where)
        with open_image(path) as image:
            assert image.header.get_zooms()[3] == pytest.approx(layout.TR_SECONDS[space])
        stored = values(path)
        found = stored[tuple(voxels.T)].T / layout.BETAS_SCALE
        assert np.abs(found - expected[:, targets]).max() <= 1 / 600 + 1e-5
        with h5py.File(
            layout.betas(mini, "subj01", space, "b2", 1, format="hdf5", **where)
        ) as file:
            assert file["betas"].chunks == (len(expected), 1, 1, 1)
            assert np.array_equal(file["betas"][:], stored.T)
    for number, side in enumerate(layout.HEMISPHERES):
        nearest = values(layout.to_fsaverage(mini, "subj01", side)).ravel() - 1
        path = layout.betas(mini, "subj01", "nativesurface", "b2", 1, hemisphere=side, **where)
        with h5py.File(path) as file:
            found = file["betas"][:][:, nearest] / layout.BETAS_SCALE
        own = expected[:, number * MINI.vertices : (number + 1) * MINI.vertices]
        assert np.abs(found - own).max() <= 1 / 600 + 1e-5


def test_versions_and_experiments_are_chosen():
    demo = SIZES["demo"]
    assert (demo.versions, demo.experiments) == (("b3",), ())
    assert SIZES["tiny"].versions == ("b1", "b2", "b3")
    chosen = with_choices(demo, ["b3", "b1"], ["imagery"])
    assert (chosen.versions, chosen.best, chosen.experiments) == (("b1", "b3"), "b3", ("imagery",))
    assert with_choices(SIZES["tiny"], None, []).experiments == ()
    for versions, experiments in ((["b4"], None), (None, ["music"]), ([], None), (["b1"], None)):
        size = SIZES["tiny"] if versions == ["b1"] else demo
        with pytest.raises(ConfigError):
            with_choices(size, versions, experiments)


# --- the files of the further experiments


def test_the_design_of_synthetic(mini):
    content = loadmat(layout.expdesign(mini, layout.SYNTHETIC))
    order, pattern = content["masterordering"], content["stimpattern"]
    assert order.shape == (1, 744)
    assert pattern.shape == (1, 8, 107)
    assert pattern.sum(axis=2).tolist() == [[93.0] * 8]
    runs = order.reshape(8, 93)
    again = (runs[:, 1:] == runs[:, :-1]).sum(axis=1)
    assert (again >= 10).all()
    assert again.sum() <= 84  # ten repeats a run, and hardly any by chance
    for task in (runs[::2], runs[1::2]):  # at fixation, one-back
        shown, count = np.unique(task, return_counts=True)
        assert shown.tolist() == list(range(1, 285))
        assert count.sum() == 4 * 93
        assert (count[: synthetic.OFTEN] >= 2).all()


def test_the_pictures_of_synthetic_are_light_on_a_wide_display(mini):
    with h5py.File(layout.synthetic_stimuli(mini)) as file:
        stored = file["imgBrick"][:]
    assert stored.shape == (220, *DISPLAY, 3)
    with h5py.File(layout.synthetic_stimuli(mini, "subj01")) as file:
        assert file["imgBrick"].shape == (64, *DISPLAY, 3)
    table = pd.read_csv(layout.synthetic_information(mini))
    assert table["Image number"].tolist() == list(range(1, 285))
    assert table["Image subclass number"].value_counts().eq(4).all()
    assert table["Image subclass"].nunique() == 71
    counts = table.groupby("Image class").size().to_dict()
    assert counts["Spiral gratings"] == 112
    assert (counts["Single words"], counts["Chromatic noise"], counts["Noise"]) == (40, 64, 16)
    grey = stored[table["Image"].str.startswith("word4_pos1")[:220]]
    assert (grey[:, :, 29:93] == as_light(np.array([128], np.uint8))).all()  # outside the field


def test_one_table_and_two_kinds_of_pictures_for_imagery(mini):
    assert sum(len(list(folder.iterdir())) for folder in layout.imagery_pictures(mini)[:2]) == 12
    for run in layout.IMAGERY_RUNS:
        table = pd.read_csv(layout.imagery_behaviour(mini, "subj01", run), sep="\t")
        assert table["TRIAL"].tolist() == list(range(1, 49))
        assert table["CONDITION"].value_counts().eq(8).all()
        same = (table["CUE"] == table["CONDITION"]).mean()
        assert 0.2 < same < 0.8 if run.startswith("vis") else same == 1
        for name in table["FRAMEFILE"]:
            assert (layout.imagery_pictures(mini)[2] / Path(name).name).is_file()


def test_what_is_imagined_is_told_by_the_name_of_its_picture(mini):
    told = json.loads((mini / "truth/imagery_captions.json").read_text())
    folders = layout.imagery_pictures(mini)[:2]
    assert set(told) == {path.name for folder in folders for path in folder.iterdir()}
    assert told["bar_045.0deg_450L_43W.png"] == ["A white bar at 45 degrees."]
    scene = composer(0, MINI.side)(imagery._OUTSIDE, True)
    assert told["shared0000_nsd00000.png"] == list(scene.captions)
    (signal,) = truth(mini, "imagery/noiseless")
    events = read_tsv(mini / "truth/imagery.tsv")
    bars = events["run"].str.startswith("imgA").to_numpy()
    assert np.ptp(signal[bars], axis=0).max() < 1e-6, "all that is imagined of set A is the same"


@pytest.mark.parametrize("trial_set", BESIDE)
def test_betas_of_an_experiment_follow_its_planted_responses(mini, trial_set):
    signal, planted, ncsnr = truth(mini, f"{trial_set}/noiseless", "planted", "ncsnr")
    betas = fsaverage(mini, "b3", trial_set)
    assert betas.shape == (BESIDE[trial_set], 2 * MINI.vertices)
    assert not np.isnan(betas).any()
    varies = signal.std(axis=0) > 0.3
    found = columns_r(signal, betas[:, planted])[varies]
    spread = ncsnr[planted][varies] * signal.std(axis=0)[varies]
    assert abs(np.mean(found - spread / np.sqrt(1 + spread**2))) < 0.02
    assert not layout.betas_folder(mini, "subj01", "fsaverage", "b1", trial_set).exists()


# --- through prepare


def test_prepare_reads_synthetic(mini, tmp_path):
    words = ("dataset.trial_set=synthetic", "dataset.space=nativesurface", "dataset.betas=b2")
    data = prepared(mini, tmp_path, *words)
    assert data.trials["image"].tolist() == synthetic.order(0).tolist()
    signal, planted, *source = truth(
        mini, "synthetic/noiseless", "planted", "native/0/source", "native/1/source"
    )
    right = data.targets["hemisphere"].eq("rh").to_numpy()
    vertex = data.targets["vertex"].to_numpy(dtype=np.int64)
    target = np.where(right, source[1][vertex % len(source[1])] + MINI.vertices,
                      source[0][vertex % len(source[0])])  # fmt: skip
    columns = np.flatnonzero(np.isin(target, planted))
    told, found = (
        signal[:, np.searchsorted(planted, target[columns])],
        data.responses()[:, columns],
    )
    assert columns_r(told, found).mean() > 0.2
    assert columns_r(np.roll(told, 1, axis=0), found).mean() < 0.1  # repeats make it above 0


@pytest.mark.parametrize("kind", ["imagery", "imagery_seen"])
def test_prepare_reads_imagery(mini, tmp_path, kind):
    data = prepared(mini, tmp_path, f"dataset.trial_set={kind}")
    told = read_tsv(mini / "truth/imagery.tsv")
    part = "imagined" if kind == "imagery" else "seen"
    kept = told[(told["part"] == part) & told["run"].str[3].isin(["A", "B"])]
    assert len(data.trials) == len(kept) == (192 if kind == "imagery" else 96)
    files = data.images.set_index("image")["file"]
    shown = [Path(files[image]).name for image in data.trials["image"]]
    assert shown == kept["target"].tolist()
    signal, planted = truth(mini, "imagery/noiseless", "planted")
    columns, rows = planted_columns(data, planted)
    late = signal[kept.index][:, rows]
    moved = late.std(axis=0) > 0.1
    assert moved.any()
    found = columns_r(late[:, moved], data.responses()[:, columns][:, moved])
    assert found.mean() > (0.08 if kind == "imagery" else 0.25)


def test_imagining_moves_late_targets_alone_and_less(mini):
    signal, planted = truth(mini, "imagery/noiseless", "planted")
    told = read_tsv(mini / "truth/imagery.tsv")
    kinds = read_tsv(mini / "truth/subj01/targets.tsv")["kind"].to_numpy()[planted]
    natural = told["run"].str[3].eq("B") & told["target"].ne("shared0000_nsd00000.png")
    parts = {
        part: pd.DataFrame(signal).groupby(told["condition"].where(natural & told["part"].eq(part)))
        .mean() for part in ("seen", "imagined", "cue", "search")
    }  # fmt: skip
    early = kinds == "early"
    assert np.allclose(parts["imagined"].loc[:, early], 0)
    seen = parts["seen"].loc[:, ~early]
    assert np.allclose(parts["imagined"].loc[:, ~early], imagery.STRENGTH * seen, atol=1e-5)
    assert np.allclose(parts["search"], parts["imagined"])
    assert np.allclose(parts["cue"], 0)
    assert seen.to_numpy().std() > 0.5


# --- what is drawn


def test_values_and_light_undo_each_other():
    sent = np.arange(256, dtype=np.uint8)
    assert np.abs(as_sent(as_light(sent)).astype(int) - sent).max() <= 11  # dark values are coarse
    assert np.array_equal(as_sent(as_light(sent))[128:], sent[128:])
    assert (as_light(sent)[[0, 128, 255]] == [0, 64, 255]).all()


def test_pictures_are_those_of_their_seed_and_subject():
    draw = list(shared_pictures(0, 32, composer(0, 32)))
    assert len({one.name for one in draw}) == 220
    again = list(shared_pictures(0, 32, composer(0, 32)))
    assert all(np.array_equal(a.canvas, b.canvas) for a, b in zip(draw, again, strict=True))
    first, second = (list(colour_pictures(0, 32, subject)) for subject in (1, 2))
    assert any(not np.array_equal(a.canvas, b.canvas) for a, b in zip(first, second, strict=True))
    inside = [one for one in draw if one.name.startswith("word6_pos2")]
    outside = [one for one in draw if one.name.startswith("word6_pos5")]
    assert all(one.scene.things and np.ptp(one.pixels) > 20 for one in inside)
    assert all(not one.scene.things and np.ptp(one.pixels) == 0 for one in outside)


def test_little_contrast_hides_what_a_scene_holds():
    draw = {one.name: one for one in shared_pictures(0, 32, composer(0, 32))}
    assert draw["contrast10_1"].scene.things
    assert not draw["contrast6_1"].scene.things
    assert draw["phase50_1"].scene.things
    assert not draw["phase25_1"].scene.things
