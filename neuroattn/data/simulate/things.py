"""A small dataset in the form of THINGS-EEG2, with or without a planted mismatch of detail.

Pictures are gratings in four quarters, some coarse, some fine; how strong each is differs from
picture to picture. Epochs are linear in the strengths: of the coarse ones alone (``mismatch``: the
recording holds nothing of what is fine in the picture, as is thought of EEG), or of all of them.
So blurring pictures must help in the first case and must not in the second.
"""

from __future__ import annotations

import pickle
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from neuroattn.core.atomic import ensure_folder, read_json, storage_errors, write_json
from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import generator
from neuroattn.data.folders import is_there, publish, target_folder
from neuroattn.data.things_eeg2_files import METADATA, SIMULATED

Floats = NDArray[np.float64]
VERSION: Final = 1
CHANNELS: Final = ("P7", "Pz", "P8", "O1", "Oz", "O2")
THINGS: Final = ("anchor", "basket", "candle", "drum", "easel", "flute", "glove", "hammer")
COARSE: Final = (2.0, 3.0)  # cycles in a quarter
FINE: Final = (8.0, 10.0)
ORIENTATIONS: Final = 4
QUARTERS: Final = 4
RATE: Final = 100.0  # samples a second
BEGIN: Final = -0.1


@dataclass(frozen=True)
class Design:
    """How much of everything there is.

    Parameters
    ----------
    subjects : persons; THINGS-EEG2 has 10.
    concepts, each : training things, and pictures of each; it has 1,654 and 10.
    test : test things, with one picture each; it has 200.
    repeats, test_repeats : how often pictures were shown; 4 and 80.
    samples : times of an epoch; 100.
    side : of the pictures, pixels; they have 500.
    noise : deviation of a trial's noise, in deviations of the signal of a channel and sample.
    mismatch : whether epochs hold nothing of what is fine.
    """

    subjects: int = 10
    concepts: int = 30
    each: int = 10
    test: int = 60
    repeats: int = 4
    test_repeats: int = 20
    samples: int = 20
    side: int = 64
    noise: float = 2.0
    mismatch: bool = True


def simulate_things(folder: Path | str, design: Design | None = None, seed: int = 0) -> Path:
    """Write the dataset to ``folder`` and return it; one that is already there is kept.

    Raises
    ------
    ConfigError : a number is out of range.
    StorageError : something else is in the folder, or it cannot be written.
    """
    chosen = design or Design()
    if not 1 <= chosen.subjects <= 99 or min(chosen.concepts, chosen.test, chosen.samples) < 2:
        raise ConfigError(
            "there is too little, or too much, to simulate", expected="1 to 99 subjects",
            found=asdict(chosen), fix="correct the numbers",
        )  # fmt: skip
    made = {"version": VERSION, "form": "things_eeg2", "seed": seed, **asdict(chosen)}
    target = target_folder(folder)
    if is_there(target, made, _recorded):
        return target
    ensure_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        # Parameters decide every byte: not so where threads share out the sums of a product.
        with storage_errors(target), threadpool_limits(limits=1):
            ensure_folder(temporary)
            _write(temporary, chosen, seed, made)
        publish(temporary, target, made, _recorded)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _recorded(folder: Path) -> Any:
    path = folder / SIMULATED
    content = read_json(path) if path.is_file() else None
    return content.get("parameters") if isinstance(content, dict) else None


def _write(root: Path, design: Design, seed: int, made: dict[str, Any]) -> None:
    sides = {"training": (design.concepts, design.each), "test": (design.test, 1)}
    first = {"training": 0, "test": design.concepts}
    strengths: dict[str, Floats] = {}
    listed: dict[str, Any] = {}
    for side, (concepts, each) in sides.items():
        names = [f"{n + 1:05d}_{_thing(first[side] + n)}" for n in range(concepts)]
        random = generator(seed, "things", side)
        count = concepts * each
        strengths[side] = random.random((count, 2, QUARTERS, ORIENTATIONS)) ** 2
        short = "train" if side == "training" else side
        listed[f"{short}_img_concepts"] = [name for name in names for _ in range(each)]
        listed[f"{short}_img_files"] = [
            f"{name.partition('_')[2]}_{n + 1:02d}.png" for name in names for n in range(each)
        ]
        both = zip(listed[f"{short}_img_concepts"], listed[f"{short}_img_files"], strict=True)
        for (concept, name), one in zip(both, strengths[side], strict=True):
            place = ensure_folder(root / f"{side}_images" / concept) / name
            Image.fromarray(picture(one, design.side, random)).save(place)
    np.save(root / METADATA, np.array(listed, dtype=object), allow_pickle=True)
    for subject in range(1, design.subjects + 1):
        _write_subject(root / f"sub-{subject:02d}", strengths, design, seed, subject)
    notes = "simulated responses, made by rules from the pictures; no brain was measured"
    write_json(root / SIMULATED, {"parameters": made, "responses": notes})


def _thing(number: int) -> str:
    """Name of a thing, different for each number."""
    lap, place = divmod(number, len(THINGS))
    return THINGS[place] + (f"{lap + 1}" if lap else "")


def picture(strengths: Floats, side: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Gratings (2, quarters, orientations), coarse then fine, as (side, side, 3); phases drawn.

    A grating's contrast is the root of its strength: its energy is linear in it.
    """
    half = side // 2
    place = np.arange(half) / half
    y, x = np.meshgrid(place, place, indexing="ij")
    window = np.sin(np.pi * x) * np.sin(np.pi * y)
    canvas = np.zeros((side, side))
    for quarter in range(QUARTERS):
        top, left = divmod(quarter, 2)
        part = canvas[top * half : (top + 1) * half, left * half : (left + 1) * half]
        for fine, cycles in enumerate((COARSE, FINE)):
            for turn in range(ORIENTATIONS):
                angle = np.pi * turn / ORIENTATIONS
                along = x * np.cos(angle) + y * np.sin(angle)
                phase = random.uniform(0, 2 * np.pi)
                frequency = cycles[turn % 2]
                wave = np.sin(2 * np.pi * frequency * along + phase)
                part += np.sqrt(strengths[fine, quarter, turn]) * wave * window
    grey = np.clip(127.5 + 50 * canvas, 0, 255).round().astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _write_subject(
    folder: Path, strengths: dict[str, Floats], design: Design, seed: int, subject: int
) -> None:
    """Both files of a subject, pickled as the published ones are."""
    folder.mkdir()
    times = BEGIN + np.arange(design.samples) / RATE
    mixing = _mixing(design, seed, subject)
    for side, repeats in (("training", design.repeats), ("test", design.test_repeats)):
        random = generator(seed, "things", "noise", subject, side)
        levels = strengths[side].reshape(len(strengths[side]), -1) - 1 / 3  # mean of u^2
        signal = np.einsum("ik,kct->ict", levels, mixing)
        shape = (len(signal), repeats, len(CHANNELS), design.samples)
        values = signal[:, None] + design.noise * random.standard_normal(shape)
        table = {
            "preprocessed_eeg_data": values, "ch_names": list(CHANNELS), "times": times,
        }  # fmt: skip
        with open(folder / f"preprocessed_eeg_{side}.npy", "wb") as file:
            pickle.dump(table, file, protocol=4)


def _mixing(design: Design, seed: int, subject: int) -> Floats:
    """What each grating adds to each channel and sample (gratings, channels, samples).

    All subjects share a part of it, for otherwise nothing could be told from one of another.
    """
    count = 2 * QUARTERS * ORIENTATIONS
    shape = (count, len(CHANNELS), design.samples)
    common = generator(seed, "things", "mixing").standard_normal(shape)
    own = generator(seed, "things", "mixing", subject).standard_normal(shape)
    times = BEGIN + np.arange(design.samples) / RATE
    course = np.where(times > 0, np.exp(-0.5 * ((times - 0.08) / 0.05) ** 2), 0.0)
    mixed = (0.8 * common + 0.6 * own) * course
    if design.mismatch:
        mixed[count // 2 :] = 0
    # Strengths have a variance of 4/45; so does the sum over gratings, whatever their number.
    return np.asarray(mixed / np.sqrt(count * 4 / 45))
