"""THINGS-EEG2 from files in its own form, pickled as they are published."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError, LeakError, MissingDataError, SecurityError
from neuroattn.data.dataset import Dataset, leaves, open_dataset
from neuroattn.data.mapped_pickle import read_mapped_dictionary
from neuroattn.data.registry import ThingsEeg2Config, ThingsMegConfig
from neuroattn.data.simulate.things import Design, simulate_things
from neuroattn.data.things_eeg2_files import find

SMALL = Design(
    subjects=2, concepts=4, each=3, test=5, repeats=2, test_repeats=3, samples=8, side=16
)
SUBJECTS = ["sub-01", "sub-02"]
Copy = Callable[[], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_things(tmp_path_factory.mktemp("things") / "data", SMALL)


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(made, tmp_path / "copy"))


def opened(root: Path, **keys: Any) -> Any:
    found = open_dataset(ThingsEeg2Config(root=str(root), **keys))
    assert isinstance(found, Dataset)
    return found


def everything(dataset: Any) -> np.ndarray:
    return np.concatenate([values for _, values in dataset.response_blocks()])


def table(root: Path, subject: str, side: str) -> dict[str, Any]:
    content = (root / subject / f"preprocessed_eeg_{side}.npy").read_bytes()
    return dict(pickle.loads(content))


def rewrite(root: Path, subject: str, side: str, **changed: Any) -> None:
    whole = table(root, subject, side) | changed
    with open(root / subject / f"preprocessed_eeg_{side}.npy", "wb") as file:
        pickle.dump(whole, file, protocol=4)


def test_rows_are_epochs_and_columns_channels_times_samples(made: Path) -> None:
    dataset = opened(made)
    values = everything(dataset)
    epochs = table(made, "sub-01", "training")["preprocessed_eeg_data"]
    assert values.shape == (12 * 2 + 5 * 3, 6 * 8)
    trials = dataset.trials
    row = int(np.flatnonzero((trials["image"] == 7) & (trials["repeat"] == 2))[0])
    assert np.array_equal(values[row], epochs[7, 1].reshape(-1).astype(np.float32))
    target = dataset.targets.iloc[2 * 8 + 5]
    assert (target["rois"], target["vertex"]) == ("P8", 5)
    assert values[row, 2 * 8 + 5] == np.float32(epochs[7, 1, 2, 5])
    assert dataset.response_origin(row)[1] == "picture 7, repeat 1", "both counted from 0"
    assert dataset.description.simulated


def test_pictures_are_those_of_the_list_and_things_are_apart(made: Path) -> None:
    dataset = opened(made)
    assert dataset.splits == {
        "things_eeg2": {"train": list(range(12)), "test": list(range(12, 17))}
    }
    assert dataset.categories["4"] == ["basket"]
    assert dataset.stimuli.file(4) == "training_images/00002_basket/basket_02.png"
    assert dataset.stimuli.read(12).shape == (16, 16, 3)
    sides = {dataset.categories[str(image)][0] for image in range(12)}
    assert not sides & {dataset.categories[str(image)][0] for image in range(12, 17)}


def test_the_label_of_a_simulation_is_in_its_name(copied: Path) -> None:
    config = ThingsEeg2Config(root=str(copied))
    marker = copied / "simulated.json"
    assert find(config).all()["simulated.json"] == marker
    marker.unlink()
    assert "simulated.json" not in find(config).all()
    assert not opened(copied).description.simulated


def test_without_the_list_pictures_are_sorted_by_name(made: Path, copied: Path) -> None:
    (copied / "image_metadata.npy").unlink()
    assert opened(copied).stimuli.file(4) == opened(made).stimuli.file(4)


def test_channels_window_and_average(made: Path) -> None:
    dataset = opened(made, channels=["Oz", "O1"], window=[-0.05, -0.03], average=True)
    epochs = table(made, "sub-01", "test")["preprocessed_eeg_data"]
    values = everything(dataset)
    assert dataset.channels == ["O1", "Oz"], "in the order of the file"
    assert dataset.times == pytest.approx([-0.05, -0.04, -0.03])
    assert dataset.targets["vertex"].tolist() == [5, 6, 7] * 2
    assert values.shape == (17, 6)
    assert values[-1] == pytest.approx(epochs[4].mean(0)[[3, 4], 5:8].reshape(-1), rel=1e-5)
    assert opened(made, average=True).trials["repeat"].tolist() == [1] * 17


def test_times_before_the_picture_may_be_named_and_cut_off(copied: Path) -> None:
    """A published script keeps 300 times beside 250 samples: the last ones belong to them."""
    for side in ("training", "test"):
        rewrite(copied, "sub-01", side, times=np.arange(-0.2, 0.1, 0.01)[:28])
    assert opened(copied).times == pytest.approx(np.arange(0.0, 0.08, 0.01), abs=1e-9)


def test_several_subjects_share_targets(made: Path) -> None:
    dataset = opened(made, subjects=SUBJECTS)
    assert len(dataset.targets) == 48
    assert dataset.trials.groupby("subject").size().tolist() == [39, 39]
    first, second = (everything(opened(made, subjects=[name])) for name in SUBJECTS)
    assert np.array_equal(everything(dataset), np.concatenate([first, second]))


def test_a_subject_left_out_is_tested_and_never_trained_on(made: Path) -> None:
    dataset = opened(made, subjects=SUBJECTS, leave_out="sub-02")
    sides = dataset.trials.groupby("subject")["image"].agg(["min", "max"])
    assert sides.loc["sub-01"].tolist() == [0, 11]
    assert sides.loc["sub-02"].tolist() == [12, 16]
    with pytest.raises(ConfigError, match="left out"):
        opened(made, leave_out="sub-02")


def test_a_small_block_gives_the_same_rows(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from neuroattn.data import things_eeg2

    whole = everything(opened(made))
    monkeypatch.setattr(things_eeg2, "_MIB", 1)
    blocks = list(opened(made).response_blocks())
    assert len(blocks) == 17
    assert np.array_equal(np.concatenate([values for _, values in blocks]), whole)


def test_meg_in_the_same_form_with_pictures_by_concept(copied: Path) -> None:
    for side, name in (("training", "training"), ("test", "zs_test")):
        found = table(copied, "sub-01", side)
        values = found["preprocessed_eeg_data"]
        folded = values.reshape(4, 3, *values.shape[1:]) if side == "training" else values[:, None]
        content = {"meg_data": folded, "ch_names": found["ch_names"], "times": found["times"]}
        with open(copied / "sub-01" / f"preprocessed_meg_{name}.pkl", "wb") as file:
            pickle.dump(content, file, protocol=4)
    meg = open_dataset(ThingsMegConfig(root=str(copied)))
    assert meg.description.modality == "MEG"
    assert np.array_equal(everything(meg), everything(opened(copied)))


def as_archives(root: Path, **more: Any) -> None:
    """The same epochs as the blur prior's authors publish theirs; ``more`` by side."""
    for old in sorted(root.glob("sub-*/preprocessed_eeg_*.npy")):
        side = old.stem.removeprefix("preprocessed_eeg_")
        values = table(root, old.parent.name, side)["preprocessed_eeg_data"].astype(np.float16)
        folder = root / "Image_set" / f"{side}_images"
        paths = [path.relative_to(root / "Image_set") for path in sorted(folder.glob("*/*"))]
        content = {"eeg": values, "img": [str(path) for path in paths], **more.get(side, {})}
        place = root / "Preprocessed_data" / old.parent.name
        place.mkdir(parents=True, exist_ok=True)
        name = "train.pt" if side == "training" else "test.pt"
        torch.save(content, place / name, pickle_protocol=5)


@pytest.fixture
def archived(copied: Path) -> Path:
    (copied / "Image_set").mkdir()
    for side in ("training", "test"):
        (copied / f"{side}_images").rename(copied / f"Image_set/{side}_images")
    (copied / "image_metadata.npy").unlink()
    return copied


def test_meg_as_the_authors_of_the_blur_prior_publish_it(archived: Path, made: Path) -> None:
    as_archives(archived)
    meg = open_dataset(ThingsMegConfig(root=str(archived), subjects=SUBJECTS))
    assert everything(meg) == pytest.approx(everything(opened(made, subjects=SUBJECTS)), rel=2e-3)
    assert meg.targets["rois"].unique()[:2].tolist() == ["channel001", "channel002"]
    assert (meg.times[0], meg.times[-1], len(meg.times)) == (0.0, 1.0, 8)  # type: ignore[attr-defined]
    found = opened(made).images["file"].tolist()
    assert [Path(name).parts[-3:] for name in meg.images["file"]] == [Path(n).parts for n in found]


def test_eeg_of_the_same_authors_says_its_channels_and_times(archived: Path, made: Path) -> None:
    told = {"ch_names": list("abcdef"), "times": np.arange(-0.2, 0.1, 0.01)[:28]}
    names = sorted(path for path in (archived / "Image_set/test_images").glob("*/*"))
    rows = np.array([[f"test_images/{p.parent.name}/{p.name}"] * 3 for p in names])
    as_archives(archived, training=told, test=told | {"img": rows})
    (archived / "Image_set/training_images").rename(archived / "Image_set/train_images")
    eeg = opened(archived, folder="Preprocessed_data")
    assert eeg.channels == list("abcdef")
    assert eeg.times == pytest.approx(np.arange(0.0, 0.08, 0.01), abs=1e-9)
    assert everything(eeg) == pytest.approx(everything(opened(made)), rel=2e-3)


def test_pictures_are_in_the_order_of_the_responses_own_list(archived: Path) -> None:
    as_archives(archived)
    path = archived / "Preprocessed_data/sub-01/train.pt"
    content = torch.load(path, weights_only=False)
    torch.save(content | {"img": content["img"][::-1]}, path, pickle_protocol=5)
    config = {"root": str(archived), "subjects": ["sub-01"]}
    first = Path(open_dataset(ThingsMegConfig(**config)).images["file"][0])  # type: ignore[arg-type]
    assert first.name == Path(content["img"][-1]).name
    with pytest.raises(DataError, match="sub-02, training are others than"):
        open_dataset(ThingsMegConfig(root=str(archived), subjects=SUBJECTS))


@pytest.mark.parametrize(
    "img", [["a.jpg"] * 5, np.array([["test_images/a/b.jpg", "test_images/a/c.jpg"]] * 5)]
)
def test_a_list_of_pictures_in_another_form(archived: Path, img: Any) -> None:
    as_archives(archived, test={"img": img})
    with pytest.raises(DataError, match="list of pictures has another form"):
        open_dataset(ThingsMegConfig(root=str(archived)))


def test_every_file_is_a_leaf(made: Path) -> None:
    from types import SimpleNamespace

    found = leaves(SimpleNamespace(dataset=ThingsEeg2Config(root=str(made), subjects=SUBJECTS)))
    assert len(found) == 2 * 2 + 17 + 2
    assert {"sub-02/preprocessed_eeg_test.npy", "simulated.json"} < set(found)


# --- bad input


def test_another_set_of_channels_is_refused(copied: Path) -> None:
    names = ["P7", "Pz", "P8", "O1", "Oz", "FC3"]
    for side in ("training", "test"):
        rewrite(copied, "sub-02", side, ch_names=names)
    with pytest.raises(DataError, match="channels of sub-02, training are others") as caught:
        opened(copied, subjects=SUBJECTS)
    assert "FC3" in str(caught.value)
    assert opened(copied, subjects=["sub-02"]).channels == names


def test_another_order_of_channels_is_refused(copied: Path) -> None:
    rewrite(copied, "sub-01", "test", ch_names=["Pz", "P7", "P8", "O1", "Oz", "O2"])
    with pytest.raises(DataError, match="another order"):
        opened(copied)


def test_other_times_are_refused(copied: Path) -> None:
    rewrite(copied, "sub-01", "test", times=np.arange(8) / 250)
    with pytest.raises(DataError, match="at other times"):
        opened(copied)


def test_unknown_channels_and_empty_windows(made: Path) -> None:
    with pytest.raises(ConfigError, match="Cz"):
        opened(made, channels=["Cz"])
    with pytest.raises(ConfigError, match="no sample"):
        opened(made, window=[5.0, 6.0])
    with pytest.raises(ConfigError):
        ThingsEeg2Config(window=[1.0, 0.0])


def test_epochs_that_do_not_fit_the_pictures(copied: Path) -> None:
    (copied / "training_images/00002_basket/basket_02.png").unlink()
    with pytest.raises(MissingDataError, match="training side are missing"):
        opened(copied)
    (copied / "image_metadata.npy").unlink()
    with pytest.raises(DataError, match="11 pictures"):
        opened(copied)


def test_a_thing_on_both_sides_is_a_leak(copied: Path) -> None:
    (copied / "image_metadata.npy").unlink()
    (copied / "test_images/00001_easel").rename(copied / "test_images/00001_drum")
    with pytest.raises(LeakError, match="both sides"):
        opened(copied)


def test_files_that_are_not_there(made: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="sub-07"):
        opened(made, subjects=["sub-07"])
    with pytest.raises(MissingDataError, match="folder of the dataset"):
        opened(tmp_path / "nowhere")


def test_the_folder_of_subjects_is_found(copied: Path) -> None:
    (copied / "preprocessed_data").mkdir()
    for subject in SUBJECTS:
        (copied / subject).rename(copied / "preprocessed_data" / subject)
    assert len(opened(copied).trials) == 39


def test_a_dictionary_that_lacks_an_entry(copied: Path) -> None:
    content = table(copied, "sub-01", "test")
    del content["times"]
    (copied / "sub-01/preprocessed_eeg_test.npy").write_bytes(pickle.dumps(content, 4))
    with pytest.raises(DataError, match="lacks times"):
        opened(copied)


# --- the pickle itself


class _Runs:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (open, (str(self.mark), "w"))


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_arrays_stay_in_the_file(tmp_path: Path, protocol: int, large: bool, axes: Any) -> None:
    values = np.random.default_rng(0).random((300 if large else 3, 5, 100)).transpose(axes)
    content = {"a": values, "names": ["x", "y"], "n": 3}
    (tmp_path / "a.npy").write_bytes(pickle.dumps(content, protocol))
    np.save(tmp_path / "b.npy", np.array(content, dtype=object), allow_pickle=True)
    torch.save(content, tmp_path / "c.pt", pickle_protocol=protocol)
    for name in ("a.npy", "b.npy", "c.pt"):
        found = read_mapped_dictionary(tmp_path / name)
        assert np.array_equal(found["a"], values)
        assert found["names"] == ["x", "y"]
        assert isinstance(found["a"], np.memmap) is large


def test_code_is_refused_unexecuted(tmp_path: Path) -> None:
    path, mark = tmp_path / "a.npy", tmp_path / "mark"
    for content in ({"a": _Runs(mark)}, _Runs(mark), {"a": [_Runs(mark)]}):
        path.write_bytes(pickle.dumps(content, 4))
        with pytest.raises(SecurityError, match="nothing of it was executed"):
            read_mapped_dictionary(path)
        torch.save(content, path)
        with pytest.raises(SecurityError, match="nothing of it was executed"):
            read_mapped_dictionary(path)
    assert not mark.exists()


def test_an_archive_that_is_compressed_holds_two_or_none(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for names, how in ((["a/data.pkl"], zipfile.ZIP_DEFLATED), ([], zipfile.ZIP_STORED),
                       (["a/data.pkl", "b/data.pkl"], zipfile.ZIP_STORED)):  # fmt: skip
        with zipfile.ZipFile(path, "w", how) as archive:
            for name in names:
                archive.writestr(name, pickle.dumps({}, 4))
        with pytest.raises(DataError, match="no dictionary of arrays"):
            read_mapped_dictionary(path)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match="no dictionary of arrays"):
        read_mapped_dictionary(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_a_file_that_is_cut_off(made: Path, tmp_path: Path, keep: float) -> None:
    big = {"a": np.zeros((400, 1000)), "names": ["x"] * 50}
    whole = pickle.dumps(big, 4)
    (tmp_path / "a.npy").write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(DataError, match="cut off"):
        read_mapped_dictionary(tmp_path / "a.npy")


def test_a_shape_that_lies_about_its_bytes(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": np.zeros((2, 3))}, 4)
    (tmp_path / "a.npy").write_bytes(whole.replace(b"K\x02K\x03\x86", b"K\x09K\x03\x86"))
    with pytest.raises(DataError, match="in 48 bytes"):
        read_mapped_dictionary(tmp_path / "a.npy")
