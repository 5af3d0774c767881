"""``truth/``: everything that was planted, so that any method can be held against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.atomic import write_json
from neuroattn.core.tables import write_tsv
from neuroattn.data.simulate.gallery import Gallery
from neuroattn.data.simulate.noise import NOISE, Repeats, ceiling
from neuroattn.data.simulate.plan import Plan
from neuroattn.data.simulate.rois import Roi, load_rois
from neuroattn.data.simulate.rules import (
    NETWORK_SIGNAL,
    PLACE,
    WEIGHT_NAMES,
    attribute_names,
    contents,
)
from neuroattn.data.simulate.scene import ATTRIBUTES, PLACE_ATTRIBUTES
from neuroattn.data.simulate.subject_files import Measured, Subject

FOLDER: Final = "truth"
MASKS: Final = "masks.h5"
_DIGITS: Final = 6
_NULL: Final = "null"


def write_scenes(folder: Path, gallery: Gallery, plan: Plan) -> None:
    """``images.tsv``, ``scenes.tsv``, ``things.tsv`` and ``splits.json``."""
    catalogue = gallery.catalogue
    shared = np.isin(catalogue.images, plan.shared)
    images = {"image": catalogue.images, "scene": catalogue.scenes,
              "shared": shared * 1, "unseen": catalogue.unseen * 1}  # fmt: skip
    write_tsv(folder / "images.tsv", pd.DataFrame(images))
    pairs = list(zip(gallery.numbers.tolist(), gallery.scenes, strict=True))
    rows: list[dict[str, Any]] = [
        {"scene": number, "background": scene.background, "source": scene.background_source,
         "unseen": int(scene.unseen), "group": scene.group,
         **{name: scene.place_attributes.get(name, np.nan) for name in PLACE_ATTRIBUTES},
         "caption": scene.caption}
        for number, scene in pairs
    ]  # fmt: skip
    write_tsv(folder / "scenes.tsv", pd.DataFrame(rows).round(_DIGITS))
    write_tsv(folder / "things.tsv", _things(pairs).round(_DIGITS))
    write_json(folder / "splits.json", splits(gallery, plan))


def _things(pairs: list[tuple[int, Any]]) -> pd.DataFrame:
    names = (*ATTRIBUTES, "expression")
    return pd.DataFrame([
        {"scene": number, "thing": place, "category": thing.category, "kind": thing.kind,
         "exemplar": thing.exemplar, "text": thing.text or None,
         **dict(zip(("top", "left", "height", "width"), thing.box, strict=True)),
         "x": thing.centre[0], "y": thing.centre[1], "diameter": thing.size,
         **{name: thing.attributes.get(name, np.nan) for name in names}}
        for number, scene in pairs for place, thing in enumerate(scene.things)
    ])  # fmt: skip


def splits(gallery: Gallery, plan: Plan) -> dict[str, dict[str, list[int]]]:
    """Named splits over 73k ids: by sharing, and by exemplars alone."""
    catalogue = gallery.catalogue
    shared = np.isin(catalogue.images, plan.shared)
    unseen = catalogue.unseen
    pick = catalogue.images
    return {
        "shared": {"train": pick[~shared].tolist(), "test": pick[shared].tolist()},
        "seen_exemplars": {
            "train": pick[~shared].tolist(),
            "test": pick[shared & ~unseen].tolist(),
        },
        "unseen_exemplars": {"train": pick[~shared].tolist(), "test": pick[unseen].tolist()},
    }


def write_rules(folder: Path, gallery: Gallery) -> None:
    """``rois.tsv`` and ``rules.json``: the table of regions, and what each kind of rule reads."""
    rows = [_roi_row(roi) for roi in load_rois()]
    write_tsv(folder / "rois.tsv", pd.DataFrame(rows))
    presence = {name: part.presence for name, part in contents(gallery.scenes).items()}
    names = list(presence)
    table = np.array([presence[name] for name in names])
    varies = table.std(axis=1) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(np.corrcoef(table)).round(_DIGITS) if varies.any() else table
    content = {
        "network_signal": NETWORK_SIGNAL,
        "attributes": {name: attribute_names(name) for name in names},
        "presence_share": {n: float(presence[n].mean().round(_DIGITS)) for n in names},
        "presence_correlation": {"names": names, "values": correlation.tolist()},
        "place_presence": f"1 where the background is a built place; category `{PLACE}`",
    }
    write_json(folder / "rules.json", content)


def _roi_row(roi: Roi) -> dict[str, Any]:
    x, y, z = roi.peak or (np.nan, np.nan, np.nan)
    return {"name": roi.name, "collection": roi.collection, "label": roi.label,
            "kind": roi.kind.value, "category": roi.category, "x": x, "y": y, "z": z,
            "radius": roi.radius if np.isfinite(roi.radius) else np.nan,
            "position": roi.position, "source": roi.source}  # fmt: skip


def write_subject_truth(
    folder: Path,
    subject: Subject,
    plan: Plan,
    measured: Measured,
    experiments: Mapping[str, NDArray[np.float32]],
) -> dict[str, float]:
    """``targets.tsv`` and ``truth.h5`` of one subject; returns a summary of its ceiling.

    Parameters
    ----------
    experiments : name -> (trials, planted) noiseless responses of a further experiment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    planted, noise = subject.cortex.planted, subject.noise
    *_, best = measured.ncsnr
    ncsnr = noise.ncsnr / NOISE[best]
    oracle = oracle_scores(subject, plan, measured.repeats)
    table = _target_table(subject, ncsnr, measured.ncsnr[best])
    table.loc[planted, "oracle_r"] = oracle
    write_tsv(folder / "targets.tsv", table.round(_DIGITS))
    with h5py.File(folder / "truth.h5", "w", libver="latest") as file:
        for name, values in (
            ("image", subject.images), ("noiseless", subject.signal), ("planted", planted),
            ("weights", subject.weights.values), ("ncsnr", ncsnr), ("mean", noise.mean),
            ("spread", noise.spread), ("offset", noise.offset), ("gain", noise.gain),
            ("lost", noise.lost), ("oracle_r", oracle),
        ):  # fmt: skip
            file.create_dataset(name, data=values, track_times=False)
        file["weights"].attrs["names"] = list(WEIGHT_NAMES)
        for number, native in enumerate(subject.native):
            file.create_dataset(f"native/{number}/source", data=native.source, track_times=False)
        for space, volume in subject.volumes.items():
            for part in ("targets", "voxels"):
                file.create_dataset(
                    f"{space}/{part}", data=getattr(volume, part), track_times=False
                )
        for version, estimated in measured.ncsnr.items():
            group = file.create_group(f"versions/{version}")
            group.create_dataset("ncsnr", data=noise.ncsnr / NOISE[version], track_times=False)
            group.create_dataset("ncsnr_estimated", data=estimated, track_times=False)
        for name, signal in experiments.items():
            file.create_dataset(f"{name}/noiseless", data=signal, track_times=False)
    return {"oracle_r": float(np.mean(oracle)), "planted": len(planted),
            "median_ncsnr": float(np.median(ncsnr[planted]))}  # fmt: skip


def oracle_scores(subject: Subject, plan: Plan, repeats: Repeats) -> NDArray[np.float64]:
    """Correlation of the noiseless with the measured responses over the shared images: (planted,).

    No model can be expected to do better; `noise.ceiling` is its expectation.
    """
    rows = np.flatnonzero(np.isin(subject.images, plan.shared))
    measured = repeats.means(rows, subject.cortex.planted).astype(np.float64)
    truth = subject.signal[rows].astype(np.float64)
    measured, truth = measured - measured.mean(axis=0), truth - truth.mean(axis=0)
    norm = np.sqrt((measured**2).sum(axis=0) * (truth**2).sum(axis=0))
    return np.asarray((measured * truth).sum(axis=0) / np.where(norm > 0, norm, 1.0))


def _target_table(
    subject: Subject, ncsnr: NDArray[np.float64], estimated: NDArray[np.float32]
) -> pd.DataFrame:
    cortex = subject.cortex
    targets = np.arange(len(cortex.roi))
    names = np.array([*(roi.name for roi in load_rois()), _NULL])
    kinds = np.array([*(roi.kind.value for roi in load_rois()), _NULL])
    return pd.DataFrame({
        "target": targets, "hemisphere": cortex.hemisphere(targets),
        "vertex": cortex.vertex(targets), "roi": names[cortex.roi], "kind": kinds[cortex.roi],
        "x": cortex.x, "y": cortex.y, "width": cortex.width, "ncsnr": ncsnr,
        "ncsnr_estimated": estimated, "ceiling_r": ceiling(ncsnr, 3), "oracle_r": np.nan,
    })  # fmt: skip
