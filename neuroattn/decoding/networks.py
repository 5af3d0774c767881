"""Networks as sets of targets: of the table of regions, of atlas files, or planted ones.

No network atlas ships with neuroattn, because none can be had offline; any that labels the
vertices of the dataset's surface, or its targets, can be given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.core.tables import read_tsv, rois_of
from neuroattn.data.planted import planted_in
from neuroattn.data.simulate.rois import load_rois
from neuroattn.decoding.ablation_schemas import AblationConfig, Networks
from neuroattn.encoding.parcels import atlas_names, parcel_names, response_points
from neuroattn.stats.planted import NETWORK

Columns = NDArray[np.int64]
EARLY = "early_visual"  # the planted retinotopic areas, as one network
NAMELESS = ("", "n/a", "???", "unknown", "medial_wall", "freesurfer_defined_medial_wall")


def networks_of(
    config: AblationConfig, targets: pd.DataFrame, prepare: Artefact
) -> dict[str, Columns]:
    """Rows of ``targets`` in every network of ``least`` targets or more, by name.

    Parameters
    ----------
    targets : the inputs of a decoder, as rows of ``targets.tsv``.

    Raises
    ------
    ConfigError, MissingDataError, DataError : there are no networks, and what to do.
    """
    if config.networks is Networks.planted:
        found = _planted(targets, prepare)
    elif config.networks is Networks.atlas:
        found = _by_name(_atlas(config.atlas, targets))
    else:
        found = _regions(config.groups, targets)
    kept = {name: rows for name, rows in found.items() if len(rows) >= config.least}
    if not kept:
        raise ConfigError(
            "there is no network to leave out",
            expected=f"networks of {config.least} targets or more among the decoder's inputs",
            found=", ".join(f"{name} ({len(rows)})" for name, rows in found.items()) or "none",
            fix="choose ablation.networks and ablation.groups, or lower ablation.least",
        )
    return kept


def _by_name(names: Sequence[str]) -> dict[str, Columns]:
    labels = np.asarray(names, dtype=object)
    wanted = sorted({name for name in names if name.lower() not in NAMELESS})
    return {name: np.flatnonzero(labels == name) for name in wanted}


def _regions(groups: Mapping[str, Sequence[str]], targets: pd.DataFrame) -> dict[str, Columns]:
    members = [set(rois_of(value)) for value in targets["rois"]]
    known = sorted(set().union(*members)) if members else []
    chosen = groups or {name: [name] for name in known}
    absent = sorted({name for names in chosen.values() for name in names} - set(known))
    if absent:
        raise ConfigError(
            f"there is no region {', '.join(absent)}",
            expected=", ".join(known) or "none: the targets are in no region",
            found=", ".join(absent), fix="correct ablation.groups",
        )  # fmt: skip
    return {
        name: np.flatnonzero([bool(own & set(names)) for own in members])
        for name, names in chosen.items()
    }


def _planted(targets: pd.DataFrame, prepare: Artefact) -> dict[str, Columns]:
    read = planted_in(prepare)
    if read is None:
        raise MissingDataError(
            "this dataset has no planted networks", file=prepare.folder / "truth.h5",
            expected="a simulated dataset of one subject on fsaverage", found="nothing",
            fix="choose ablation.networks=rois or atlas",
        )  # fmt: skip
    truth = read()
    network = {roi.name: roi.category for roi in load_rois()}
    of = {
        int(target): network.get(str(roi), EARLY) if kind != "early" else EARLY
        for target, roi, kind in zip(truth.target, truth.roi, truth.kind, strict=True)
    }
    return _by_name([of.get(int(target), "") for target in targets["target"]])


def planted_signals(prepare: Artefact) -> dict[str, str]:
    """Planted network -> the one category that it carries; empty without planted truth."""
    read = planted_in(prepare)
    if read is None:
        return {}
    truth = read()
    network = {roi.name: roi.category for roi in load_rois()}
    return {
        network[str(roi)]: str(category)
        for roi, kind, category in zip(truth.roi, truth.kind, truth.category, strict=True)
        if kind == NETWORK
    }


def _atlas(files: Sequence[str], targets: pd.DataFrame) -> list[str]:
    paths = [user_path(name) for name in files]
    if len(paths) == 1 and paths[0].suffix == ".npy":
        return atlas_names(paths[0], targets)
    if len(paths) == 1 and paths[0].suffix == ".tsv":
        return _table(paths[0], targets)
    labels: dict[str, Sequence[str]] = {}
    for path in paths:
        labels[_hemisphere(path)] = _surface_labels(path)
    return [
        _label(labels, str(side), vertex, paths[0])
        for side, vertex in zip(targets["hemisphere"], targets["vertex"], strict=True)
    ]


def _table(path: Path, targets: pd.DataFrame) -> list[str]:
    table = read_tsv(path)
    column = next((name for name in ("network", "parcel") if name in table), None)
    if "target" not in table or column is None:
        raise DataError(
            "the atlas is no table of networks", file=path,
            expected="columns target and network", found=", ".join(map(str, table.columns)),
            fix="write one row for each target of targets.tsv, by its column target",
        )  # fmt: skip
    names = table[column].fillna("").astype(str)
    known = dict(zip(table["target"].astype(int).tolist(), names.tolist(), strict=True))
    wanted = [int(target) for target in targets["target"]]
    absent = [target for target in wanted if target not in known]
    if absent:
        raise DataError(
            "the atlas does not belong to these targets", file=path,
            expected=f"a row for each of {len(wanted)} targets",
            found=f"none for {len(absent)}, as {absent[0]}",
            fix="write one row for each target of targets.tsv; n/a for those in no network",
        )  # fmt: skip
    return [known[target] for target in wanted]


def _hemisphere(path: Path) -> str:
    name = path.name.lower()
    sides = {
        side
        for side, marks in {"lh": ("lh.", "hemi-l", ".l."), "rh": ("rh.", "hemi-r", ".r.")}.items()
        if any(mark in name for mark in marks)
    }
    if len(sides) != 1:
        raise DataError(
            "the hemisphere of these labels is not known", file=path,
            expected="lh. or rh. (or hemi-L, hemi-R) in the name of the file", found=path.name,
            fix="rename it",
        )  # fmt: skip
    return sides.pop()


def _surface_labels(path: Path) -> list[str]:
    import nibabel as nib

    wrong = nib.filebasedimages.ImageFileError
    try:
        if path.suffix == ".annot":
            labels, _, names = nib.freesurfer.read_annot(path)
            words = [name.decode() for name in names]
            return [words[label] if 0 <= label < len(words) else "" for label in labels]
        image: Any = nib.load(path)
        table = image.labeltable.get_labels_as_dict()
        values = np.asarray(image.darrays[0].data).reshape(-1)
    except (OSError, ValueError, IndexError, AttributeError, wrong) as error:
        raise DataError(
            "the labels cannot be read", file=path, expected=".annot or .label.gii",
            found=error, fix="give labels of the surface that the dataset is on",
        ) from error  # fmt: skip
    return [str(table.get(int(value), "")) if int(value) != 0 else "" for value in values]


def _label(labels: Mapping[str, Sequence[str]], side: str, vertex: Any, path: Path) -> str:
    if pd.isna(vertex) or side not in labels or int(vertex) >= len(labels[side]):
        raise DataError(
            "the labels are not of the surface that the targets lie on", file=path,
            expected=f"a label of vertex {vertex} of {side}",
            found=", ".join(f"{len(names)} vertices of {name}" for name, names in labels.items()),
            fix="resample the atlas to the dataset's space, or write a .tsv (target, network)",
        )  # fmt: skip
    return labels[side][int(vertex)]


def parcels_of(
    targets: pd.DataFrame,
    responses: NDArray[np.float32],
    count: int,
    random: np.random.Generator,
    surface: bool,
) -> list[Columns]:
    """Parcels that cover all targets: patches of fsaverage5, or alike responses.

    Parameters
    ----------
    responses : (rows, targets), where there is no surface to go by.
    surface : whether vertices are those of fsaverage5.
    """
    points = _places(targets) if surface else response_points(responses, random)
    sides = targets["hemisphere"].fillna("").astype(str)
    names = parcel_names(points, sides.tolist(), count, 1, random)
    labels = np.array([f"{side}-{name}" for side, name in zip(sides, names, strict=True)])
    return [np.flatnonzero(labels == name) for name in np.unique(labels)]


def _places(targets: pd.DataFrame) -> NDArray[np.float32]:
    """Places (targets, 3) on the cortex, mm."""
    from neuroattn.surface.meshes import mid_surface

    out = np.zeros((len(targets), 3), dtype=np.float32)
    vertex = targets["vertex"].to_numpy(dtype=np.int64)
    for side in ("lh", "rh"):
        rows = np.flatnonzero((targets["hemisphere"] == side).to_numpy())
        if len(rows):
            out[rows] = np.asarray(mid_surface(side).coordinates, dtype=np.float32)[vertex[rows]]
    return out
