"""The planted truth of a simulation, kept in the artefact of ``prepare`` as ``truth.h5``.

Whoever holds that artefact can score an encoder against what was planted, although the folder
of the simulation is gone (`neuroattn.stats.planted` reads the file, `neuroattn.stats.recovery`
scores). Only what the prepared targets and images need is kept, compressed: 8 MB of the demo.
Nothing is copied of real recordings, of several subjects in one artefact, and of spaces other
than fsaverage, whose targets the truth does not number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.errors import DataError, NeuroattnError
from neuroattn.core.tables import read_tsv
from neuroattn.data.dataset import Dataset
from neuroattn.data.simulate.rules import (
    BUILT,
    NETWORK_SIGNAL,
    PLACE,
    Contents,
    attribute_names,
    late_parts,
)
from neuroattn.data.simulate.scene import CATEGORIES, PLACE_ATTRIBUTES
from neuroattn.stats.planted import EARLY, FILE, Truth, read_truth

LABEL = "simulated responses: what was planted"
_NONE = "n/a"
_BOX = ("top", "left", "height", "width")
_CHUNK = 1 << 20


#: Files of ``truth/`` that are read, by the names in a dataset's ``planted_files``.
FILES = ("images.tsv", "scenes.tsv", "things.tsv", "rois.tsv", "masks.h5", "targets.tsv",
         "truth.h5")  # fmt: skip


def write_truth(out: ArtefactWriter, dataset: Dataset) -> None:
    """Write ``truth.h5`` where ``dataset`` is a simulation that still has all its truth.

    Raises
    ------
    DataError : its files do not fit each other, or are no such files.
    """
    files: Mapping[str, Path] = getattr(dataset, "planted_files", {})
    if not set(FILES) <= set(files):
        return
    try:
        with out.hdf5(FILE) as file:
            file.attrs["label"] = LABEL
            _fill(file, files, dataset.targets)
    except NeuroattnError:  # of our own files: a full disk, say
        raise
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise DataError(
            "the planted truth of this simulation cannot be read", file=files["truth.h5"],
            expected="the files that `neuroattn data simulate` wrote into truth/", found=error,
            fix="simulate the dataset again, or remove truth/ to go without",
        ) from error  # fmt: skip


def planted_in(artefact: Artefact) -> Callable[[], Truth] | None:
    """What reads the planted truth of a ``prepare`` artefact; None where it has none."""
    if not artefact.has(FILE):
        return None

    def read() -> Truth:
        with artefact.hdf5(FILE) as file:
            return read_truth(file)

    return read


def _fill(file: h5py.File, files: Mapping[str, Path], targets: pd.DataFrame) -> None:
    names = ("images", "scenes", "things", "rois", "targets")
    tables = {name: read_tsv(files[f"{name}.tsv"]) for name in names}
    planted_at, number, column = _match(tables["targets"], targets, files["truth.h5"])
    with h5py.File(files["truth.h5"]) as source:
        images = source["image"][()]
        group = file.create_group("images")
        # Half precision keeps a correlation to 1e-6 of its value at a quarter of the size.
        noiseless = source["noiseless"][()][:, column].astype(np.float16)
        _write_images(group, tables["images"], images, noiseless)
        weights = source["weights"][()][:, column].astype(np.float32)
        weight_names = [str(name) for name in source["weights"].attrs["names"]]
    group = file.create_group("targets")
    _write_targets(group, tables, planted_at, number, weights)
    group.attrs["weight_names"] = weight_names
    scenes = file["images/scene"][()]
    for name, content in _contents(tables["scenes"], tables["things"], scenes).items():
        _, attributes = late_parts(content)
        part = file.create_group(f"content/{name}")
        part.attrs["names"] = list(content.names)
        _add(part, "presence", content.presence.astype(np.uint8))
        _add(part, "attributes", attributes.astype(np.float32))
    with h5py.File(files["masks.h5"]) as source:
        _write_things(file.create_group("things"), tables["things"], scenes, source["masks"][()])


def _match(
    truth: pd.DataFrame, targets: pd.DataFrame, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the truth's table, numbers in ``targets`` and columns of the planted targets."""
    with h5py.File(path) as source:
        columns = {int(row): column for column, row in enumerate(source["planted"][()])}
    places = zip(truth["hemisphere"], truth["vertex"], strict=True)
    row_of = {place: row for row, place in enumerate(places)}
    pairs = zip(targets["target"], targets["hemisphere"], targets["vertex"], strict=True)
    found = [
        (row, int(number), columns[row])
        for number, side, vertex in pairs
        if (row := row_of[side, int(vertex)]) in columns
    ]
    rows, numbers, where = (np.array(part, dtype=np.int64) for part in zip(*found, strict=True))
    return rows, numbers, where


def _write_images(
    group: h5py.Group, table: pd.DataFrame, images: NDArray[Any], noiseless: NDArray[np.float16]
) -> None:
    rows = table.set_index("image").loc[images]
    _add(group, "image", images.astype(np.int64))
    _add(group, "scene", rows["scene"].to_numpy(dtype=np.int64))
    _add(group, "unseen", rows["unseen"].to_numpy(dtype=np.uint8))
    _add(group, "noiseless", noiseless)


def _write_targets(
    group: h5py.Group,
    tables: Mapping[str, pd.DataFrame],
    rows: NDArray[np.int64],
    number: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> None:
    here, rois = tables["targets"].iloc[rows], tables["rois"].set_index("name")
    reads = rois["category"].loc[here["roi"]].fillna(_NONE).astype(str)
    category = [NETWORK_SIGNAL.get(name, name) for name in reads]
    is_early = here["kind"].to_numpy() == EARLY
    _add(group, "target", number)
    _text(group, "roi", here["roi"].tolist())
    _text(group, "kind", here["kind"].tolist())
    _text(group, "category", np.where(is_early, _NONE, category).tolist())
    _add(group, "weights", weights)


def _contents(
    scenes: pd.DataFrame, things: pd.DataFrame, shown: NDArray[np.int64]
) -> dict[str, Contents]:
    """What the rules read of every category, over the images whose scenes are ``shown``."""
    found = {}
    for category in CATEGORIES:
        names = attribute_names(category)
        own = things[things["category"] == category].drop_duplicates("scene", keep="last")
        values = own.set_index("scene")[list(names)].reindex(shown).to_numpy(dtype=np.float64)
        presence = np.isin(shown, own["scene"].to_numpy()).astype(np.float64)
        found[category] = Contents(presence, values, names)
    places = scenes.set_index("scene").loc[shown]
    built = np.asarray(places["background"].isin(BUILT), dtype=np.float64)
    values = places[list(PLACE_ATTRIBUTES)].to_numpy(dtype=np.float64)
    return found | {PLACE: Contents(built, values, PLACE_ATTRIBUTES)}


def _write_things(
    group: h5py.Group, things: pd.DataFrame, shown: NDArray[np.int64], masks: NDArray[np.uint8]
) -> None:
    kept = np.flatnonzero(things["scene"].isin(shown))
    here = things.iloc[kept]
    _add(group, "scene", here["scene"].to_numpy(dtype=np.int64))
    _text(group, "category", here["category"].tolist())
    _text(group, "exemplar", here["exemplar"].tolist())
    _add(group, "box", here[list(_BOX)].to_numpy(dtype=np.int64))
    _add(group, "masks", masks[kept])


def _text(group: h5py.Group, name: str, values: list[Any]) -> None:
    coded = [str(value).encode() for value in values]
    longest = max(1, *map(len, coded), 1)
    _add(group, name, np.array(coded, dtype=h5py.string_dtype("utf-8", longest)))


def _add(group: h5py.Group, name: str, values: NDArray[Any]) -> None:
    """A compressed dataset with a checksum on every chunk; masks shrink to a twentieth."""
    row = max(1, values[:1].nbytes)
    chunks = (max(1, min(len(values), _CHUNK // row)), *values.shape[1:])
    group.create_dataset(
        name, data=values, chunks=chunks, fletcher32=True, compression="gzip", compression_opts=4,
        shuffle=True, track_times=False,
    )  # fmt: skip
