"""A small dataset in the ``arrays`` layout for the demo and tests, made from installed packages.

Real photographs, simulated responses: nothing in it is a finding about brains, and its
description says so. Equal arguments give equal bytes.
"""

from __future__ import annotations

import io
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from neuroattn.core.atomic import (
    ensure_folder,
    write_bytes,
    write_text,
)
from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import generator
from neuroattn.data import generated_rules as rules
from neuroattn.data.folders import is_there, publish, target_folder
from neuroattn.data.pictures import decode

VERSION = 1
_QUALITY = 92
_RUN = 60  # trials


def generate(
    folder: Path | str, *, images: int = 240, targets: int = 40, repeats: int = 3, seed: int = 0
) -> Path:
    """Write the dataset to ``folder`` and return it; one that is already there is kept.

    Sessions show every image once, in a random order: repeat and session are one. Beside the
    files of the layout, ``truth.tsv`` holds what was planted.

    Raises
    ------
    ConfigError : fewer than 2 images, 1 target or 1 repeat.
    StorageError : something else is in the folder.
    """
    target = target_folder(folder)
    made = {
        "version": VERSION,
        "images": images,
        "targets": targets,
        "repeats": repeats,
        "seed": seed,
    }
    _check(made)
    if is_there(target, made, _recorded):
        return target
    ensure_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        _write(temporary, made)
        publish(temporary, target, made, _recorded)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _check(made: dict[str, int]) -> None:
    for key, least in (("images", 2), ("targets", 1), ("repeats", 1)):
        if made[key] < least:
            raise ConfigError(
                f"too few {key} for a dataset", expected=f"{least} or more", found=made[key],
                fix=f"ask for more {key}",
            )  # fmt: skip


def _recorded(folder: Path) -> Any:
    """What the dataset in ``folder`` was generated with."""
    description = folder / "dataset.yaml"
    content = yaml.safe_load(description.read_text()) if description.is_file() else None
    return content.get("generator") if isinstance(content, dict) else None


def _write(folder: Path, made: dict[str, int]) -> None:
    seed = made["seed"]
    ensure_folder(folder / "images")
    sources = _sources(made["images"], seed)
    pictures = _write_pictures(folder / "images", sources, seed)
    targets = rules.plan_targets(made["targets"], seed)
    categories = [rules.PHOTOGRAPHS[source][2] for source in sources]
    signal = rules.signals(pictures, categories, targets, seed)
    trials = _trials(len(sources), made["repeats"], seed)
    noise = generator(seed, "noise").normal(size=(len(trials), len(targets)))
    scale = np.array([1 / target.ncsnr if target.ncsnr else 1.0 for target in targets])
    responses = signal[trials[:, 1]] + noise * scale
    buffer = io.BytesIO()
    np.save(buffer, responses.astype(np.float32))
    write_bytes(folder / "responses.npy", buffer.getvalue())
    _write_table(folder / "trials.tsv", "trial image session repeat run", trials.tolist())
    _write_table(folder / "images_sources.tsv", "image source", enumerate(sources))
    _write_table(folder / "rois.tsv", "target roi hemisphere", _roi_rows(targets))
    header = " ".join(["target", *(entry.name for entry in fields(rules.Target))])
    truth = [(index, *astuple(target)) for index, target in enumerate(targets)]
    _write_table(folder / "truth.tsv", header, truth)
    write_text(folder / "dataset.yaml", yaml.safe_dump(_description(made), sort_keys=False))


def _sources(images: int, seed: int) -> list[str]:
    dealt = np.resize(np.arange(len(rules.PHOTOGRAPHS)), images)
    names = list(rules.PHOTOGRAPHS)
    return [names[index] for index in generator(seed, "sources").permutation(dealt)]


def _write_pictures(folder: Path, sources: list[str], seed: int) -> NDArray[np.uint8]:
    """Write the crops and return them as a reader sees them: (images, height, width, 3)."""
    photographs = {name: rules.photograph(name) for name in sorted(set(sources))}
    decoded = []
    for image, source in enumerate(sources):
        buffer = io.BytesIO()
        picture = rules.crop(photographs[source], generator(seed, "crop", image))
        picture.save(buffer, format="JPEG", quality=_QUALITY, subsampling=0)
        write_bytes(folder / f"{image:05d}.jpg", buffer.getvalue())
        decoded.append(decode(buffer.getvalue()))
    return np.stack(decoded)


def _trials(images: int, repeats: int, seed: int) -> NDArray[np.int64]:
    """Rows (trial, image, session, repeat, run), sessions one after another."""
    rows = []
    for session in range(1, repeats + 1):
        order = generator(seed, "session", session).permutation(images)
        rows += [(image, session, session, 1 + place // _RUN) for place, image in enumerate(order)]
    return np.column_stack([np.arange(len(rows)), np.array(rows, dtype=np.int64)])


def _roi_rows(targets: list[rules.Target]) -> Iterable[tuple[Any, ...]]:
    for index, target in enumerate(targets):
        for roi in (target.roi, rules.BOTH) if target.roi else ("n/a",):
            yield index, roi, target.hemisphere


def _write_table(path: Path, header: str, rows: Iterable[Iterable[Any]]) -> None:
    lines = ["\t".join(map(str, row)) for row in rows]
    write_text(path, "\n".join([header.replace(" ", "\t"), *lines]) + "\n")


def _description(made: dict[str, int]) -> dict[str, Any]:
    return {
        "name": "photographs (simulated responses)",
        "description": (
            "Crops of photographs that ship in scikit-image, scikit-learn and matplotlib, with "
            "simulated responses. early_sim: local colour and contrast in receptive fields; "
            "late_sim: category of the photograph and overall colour; the rest is noise. Crops "
            "share photographs (images_sources.tsv): a fold over images tests new crops of known "
            "photographs; dataset.split.keep_together=source tests new photographs."
        ),
        "simulated": True,
        "species": "none (simulated)",
        "modality": "simulated responses",
        "units": "simulated responses, standard deviations of the signal",
        "space": "none",
        "licence": "simulated responses CC0; photographs on the terms of the packages they ship in",
        "citation": "neuroattn, generated dataset; photographs from scikit-image (van der Walt et "
        "al. 2014), scikit-learn (Pedregosa et al. 2011) and matplotlib (Hunter 2007)",
        "n_images": made["images"],
        "n_trials": made["images"] * made["repeats"],
        "n_targets": made["targets"],
        "generator": made,
    }
