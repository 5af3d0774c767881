"""The Algonauts 2023 folders: 0-based ids, masks back to fsaverage, hostile mappings."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroattn.core.errors import ConfigError, DataError, LeakError, MissingDataError, SecurityError
from neuroattn.data.algonauts2023 import Algonauts2023Dataset
from neuroattn.data.algonauts2023_files import HEMISPHERES, leaves
from neuroattn.data.dataset import open_dataset
from neuroattn.data.nsd import layout
from neuroattn.data.registry import Algonauts2023Config
from tests.chain import neuroattn
from tests.nsd_files import picture

TRAIN = [13, 27, 28, 30, 700, 701]  # 73k ids in the order of the rows
TEST = [845, 28_752]
VERTICES = 40
KEPT = {"lh": [3, 5, 6, 39], "rh": [0, 7, 20]}
MAPPING = {
    "prf-visualrois": {0: "Unknown", 1: "V1v", 2: "V1d"},
    "streams": {0: "Unknown", 5: "ventral"},
}


def _label(collection: str, vertex: int) -> int:
    if collection == "streams":
        return 5 if vertex % 3 == 0 else 0
    return vertex % 3


def _beta(image: int, side: str, vertex: int) -> float:
    return image / 8 + vertex / 512 + (4096 if side == "rh" else 0)


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "subj01"
    for name, side, ids in (("training", "train", TRAIN), ("test", "test", TEST)):
        images = folder / f"{name}_split" / f"{name}_images"
        images.mkdir(parents=True)
        for number, image in enumerate(ids, start=1):
            pixels = picture(np.array([image]))[0]
            Image.fromarray(pixels).save(images / f"{side}-{number:04d}_nsd-{image:05d}.png")
    masks, fmri = folder / "roi_masks", folder / "training_split" / "training_fmri"
    masks.mkdir()
    fmri.mkdir()
    for side in HEMISPHERES:
        kept = np.zeros(VERTICES, dtype=int)
        kept[KEPT[side]] = 1
        np.save(masks / f"{side}.all-vertices_fsaverage_space.npy", kept)
        values = [[_beta(image, side, vertex) for vertex in KEPT[side]] for image in TRAIN]
        np.save(fmri / f"{side}_training_fmri.npy", np.array(values, dtype=np.float32))
        for collection in MAPPING:
            labels = np.array([_label(collection, vertex) for vertex in range(VERTICES)])
            stem = masks / f"{side}.{collection}"
            np.save(f"{stem}_fsaverage_space.npy", labels)
            np.save(f"{stem}_challenge_space.npy", labels[KEPT[side]])
    for collection, names in MAPPING.items():
        path = masks / f"mapping_{collection}.npy"
        np.save(path, np.array(names, dtype=object), allow_pickle=True)
    return tmp_path / "data"


def _config(root: Path, **settings: object) -> Algonauts2023Config:
    return Algonauts2023Config(root=str(root), **settings)


def test_rows_ids_and_pictures_agree(challenge: Path) -> None:
    dataset = Algonauts2023Dataset(_config(challenge))
    assert dataset.trials["image"].tolist() == TRAIN
    blocks = list(dataset.response_blocks())
    expected = [
        [_beta(image, side, vertex) for side in HEMISPHERES for vertex in KEPT[side]]
        for image in TRAIN
    ]
    np.testing.assert_array_equal(np.concatenate([v for _, v in blocks]), np.float32(expected))
    for image in (*TRAIN, *TEST):
        pixel = dataset.stimuli.read(image)[0, 0].astype(int)
        assert pixel[0] + 256 * pixel[1] == image
    assert dataset.response_origin(4)[1] == "row 4"


def test_masks_lead_back_to_fsaverage(challenge: Path) -> None:
    targets = Algonauts2023Dataset(_config(challenge)).targets
    assert targets["hemisphere"].tolist() == ["lh"] * 4 + ["rh"] * 3
    assert targets["vertex"].tolist() == [*KEPT["lh"], *KEPT["rh"]]
    for vertex, rois in zip(targets["vertex"], targets["rois"], strict=True):
        prf = MAPPING["prf-visualrois"].get(_label("prf-visualrois", vertex), "")
        named = [name for name in (prf,) if name != "Unknown"]
        assert rois == "|".join(named + (["ventral"] if vertex % 3 == 0 else []))


def test_test_images_have_pictures_and_no_trials(challenge: Path) -> None:
    dataset = Algonauts2023Dataset(_config(challenge))
    assert dataset.withheld.tolist() == TEST
    assert not set(TEST) & set(dataset.images["image"])
    assert set(TEST) < set(dataset.stimuli.ids.tolist())
    assert "2 test images have no responses" in dataset.description.description
    assert any("test-0002_nsd-28752.png" in name for name in leaves(_config(challenge)))


@pytest.mark.parametrize("place", ["data", "."], ids=["root", "above"])
def test_a_simulation_says_so_and_by_its_name(
    place: str, challenge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in a folder of the simulation in NSD form, which holds the marker."""
    recorded = Algonauts2023Dataset(_config(challenge)).description
    assert (recorded.simulated, recorded.species) == (False, "human")
    assert "SIMULATED.json" not in leaves(_config(challenge))
    marker = layout.simulated(tmp_path / place)
    marker.write_text('{"label": "simulated responses"}')
    monkeypatch.chdir(challenge)
    for root in (challenge, Path()):
        about = Algonauts2023Dataset(_config(root)).description
        assert about.simulated
        assert about.name == "Simulated Algonauts 2023 subj01"
        assert "human" not in about.species
        assert "7 T" not in about.modality
        assert about.citation.startswith("simulated by neuroattn")
        assert leaves(_config(root))["SIMULATED.json"].samefile(marker)


def test_the_command_prepares_it(challenge: Path, tmp_path: Path) -> None:
    words = [f"dataset.root={challenge}", f"paths.root={tmp_path / 'out'}"]
    ran = neuroattn("prepare", "dataset=algonauts2023", *words)
    assert ran.code == 0, ran.err
    assert (ran.path / "DONE").is_file()


def test_a_hostile_mapping_executes_nothing(challenge: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Runs:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (os.system, (f"touch {mark}",))

    path = challenge / "subj01" / "roi_masks" / "mapping_streams.npy"
    np.save(path, np.array({0: Runs()}, dtype=object), allow_pickle=True)
    with pytest.raises(SecurityError, match="nothing of it was executed"):
        _ = Algonauts2023Dataset(_config(challenge)).targets
    ran = neuroattn(
        "prepare", "dataset=algonauts2023", f"dataset.root={challenge}", f"paths.root={tmp_path}"
    )
    assert ran.code != 0
    assert "Traceback" not in ran.err
    assert not mark.exists()


def test_masks_that_disagree(challenge: Path) -> None:
    path = challenge / "subj01" / "roi_masks" / "rh.streams_challenge_space.npy"
    np.save(path, np.roll(np.load(path), 1))
    with pytest.raises(DataError, match="disagree between the challenge's space and fsaverage"):
        _ = Algonauts2023Dataset(_config(challenge)).targets


def test_a_label_without_a_name(challenge: Path) -> None:
    path = challenge / "subj01" / "roi_masks" / "mapping_streams.npy"
    np.save(path, np.array({0: "Unknown"}, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="labels of streams have no name"):
        _ = Algonauts2023Dataset(_config(challenge)).targets


def test_files_that_do_not_fit(challenge: Path) -> None:
    images = challenge / "subj01" / "training_split" / "training_images"
    second = next(images.glob("train-0002*"))
    moved = second.rename(challenge / second.name)
    with pytest.raises(MissingDataError, match="no number 2"):
        Algonauts2023Dataset(_config(challenge))
    moved.rename(images / "train-0002_27.png")
    with pytest.raises(DataError, match="a picture has another name"):
        Algonauts2023Dataset(_config(challenge))
    (images / "train-0002_27.png").rename(images / "train-0002_nsd-00845.png")
    with pytest.raises(LeakError, match="images 845"):
        Algonauts2023Dataset(_config(challenge))
    (images / "train-0002_nsd-00845.png").rename(second)
    fmri = challenge / "subj01" / "training_split" / "training_fmri" / "rh_training_fmri.npy"
    np.save(fmri, np.load(fmri)[:-1])
    with pytest.raises(DataError, match="do not fit the pictures and masks"):
        Algonauts2023Dataset(_config(challenge))


def test_settings_that_lead_nowhere(challenge: Path) -> None:
    with pytest.raises(ConfigError, match="the folder of the challenge is not set"):
        Algonauts2023Dataset(Algonauts2023Config())
    with pytest.raises(MissingDataError, match="this subject of the challenge is not there"):
        Algonauts2023Dataset(_config(challenge, subjects=["subj02"]))
    with pytest.raises(MissingDataError, match="this subject of the challenge is not there"):
        open_dataset(_config(challenge, subjects=["subj01", "subj02"]))
