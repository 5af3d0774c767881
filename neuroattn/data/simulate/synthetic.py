"""A simulated NSD-synthetic: design, pictures and table of pictures, in the files of the real one.

744 trials in 8 runs of 93, the same for all subjects: 4 runs with a task at fixation and 4 with
a one-back task, each pair showing all 284 pictures, 48 of them twice, and 10 trials of every run
that repeat the one before (NSD data manual, "Functional data (nsdsynthetic)").
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.stimuli import as_light, as_sent
from neuroattn.data.simulate.experiments import Shown
from neuroattn.data.simulate.gallery import Compose
from neuroattn.data.simulate.image_files import write_matlab
from neuroattn.data.simulate.synthetic_pictures import Drawn, colour_pictures, shared_pictures

Ids = NDArray[np.int64]
Picture = NDArray[np.uint8]

RUNS, RUN_TRIALS, SLOTS = 8, 93, 107
PICTURES: Final = layout.SYNTHETIC_SHARED + layout.SYNTHETIC_COLOUR
OFTEN: Final = 48  # leading pictures that are shown twice in either task; which, is ours
ONE_BACK: Final = 10  # of a run
_LEVEL: Final = 1


def order(seed: int) -> Ids:
    """The picture, from 0, of each of the 744 trials."""
    random = generator(seed, "synthetic", "order")
    regular = RUN_TRIALS - ONE_BACK
    trials = []
    for _ in ("fixation", "one-back"):
        once = random.permutation(np.concatenate([np.arange(PICTURES), np.arange(OFTEN)]))
        runs = once.reshape(-1, regular)
        repeated = [np.sort(random.choice(regular, ONE_BACK, replace=False)) for _ in runs]
        trials.append([np.insert(run, at + 1, run[at])
                       for run, at in zip(runs, repeated, strict=True)])  # fmt: skip
    return np.concatenate([run for pair in zip(*trials, strict=True) for run in pair])


def stimulus_pattern() -> NDArray[np.float64]:
    """1 where a 4-s slot shows a stimulus: (1, 8, 107), 93 in each run."""
    inner = np.linspace(4, SLOTS - 5, 8).round().astype(int)[1:-1]  # six blanks spread over it
    pattern = np.zeros((1, RUNS, SLOTS))
    pattern[..., 4 : SLOTS - 4] = 1
    pattern[..., inner] = 0
    return pattern


def write_design(root: Path, seed: int) -> None:
    """``nsdsynthetic_expdesign.mat``, whose pictures count from 1."""
    content: dict[str, Any] = {
        "masterordering": (order(seed) + layout.FIRST_ID)[None].astype(np.float64),
        "stimpattern": stimulus_pattern(),
    }
    write_matlab(layout.expdesign(root, layout.SYNTHETIC), content)


def write_shared(root: Path, seed: int, side: int, compose: Compose) -> list[Shown]:
    """Write the 220 pictures of all subjects and the table of all 284; returns what was shown."""
    drawn = list(shared_pictures(seed, side, compose))
    write_pictures(layout.synthetic_stimuli(root), drawn, layout.SYNTHETIC_SHARED)
    write_information(layout.synthetic_information(root),
                      [*drawn, *colour_pictures(seed, side, 1)])  # fmt: skip
    return [shown(picture) for picture in drawn]


def write_colour(root: Path, seed: int, side: int, subject: int) -> list[Shown]:
    """Write the 64 pictures of one subject (from 1); returns what was shown."""
    drawn = list(colour_pictures(seed, side, subject))
    path = layout.synthetic_stimuli(root, layout.subject_name(subject))
    write_pictures(path, drawn, layout.SYNTHETIC_COLOUR)
    return [shown(picture) for picture in drawn]


def shown(drawn: Drawn) -> Shown:
    """What a reader gets back of a picture: the field, after rounding to the light stored."""
    return Shown(drawn.name, as_sent(as_light(drawn.pixels)), drawn.scene)


def write_pictures(path: Path, drawn: Iterable[Drawn], count: int) -> None:
    """``imgBrick`` (count, 714, 1360, 3): the light that was shown, a picture in each chunk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = (*layout.SYNTHETIC_SHAPE, 3)
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset(
            layout.STIMULI_KEY, shape=(count, *picture), dtype=np.uint8, chunks=(1, *picture),
            compression="gzip", compression_opts=_LEVEL,
        )  # fmt: skip
        for place, one in enumerate(drawn):
            content = zlib.compress(display(as_light(one.canvas)).tobytes(), _LEVEL)
            data.id.write_direct_chunk((place, 0, 0, 0), content)


def display(canvas: Picture) -> Picture:
    """A canvas enlarged to the display by repeating pixels: the field, and either side of it."""
    side, width, _ = canvas.shape
    left = (width - side) // 2
    high, wide = layout.SYNTHETIC_SHAPE
    columns = np.concatenate([
        _repeated(left, (wide - high) // 2),
        left + _repeated(side, high),
        left + side + _repeated(width - left - side, wide - high - (wide - high) // 2),
    ])  # fmt: skip
    return canvas[:, columns][_repeated(side, high)]


def _repeated(count: int, size: int) -> Ids:
    """Which of ``count`` pixels stands at each of ``size``."""
    return ((np.arange(size) + 0.5) * count / size).astype(np.int64)


def write_information(path: Path, drawn: list[Drawn]) -> None:
    """``nsdsyntheticimageinformation.csv``: name, subclass and class of every picture."""
    table = pd.DataFrame({"Image": [one.name for one in drawn]})
    for column, values in (
        ("Image subclass", [one.subclass for one in drawn]),
        ("Image class", [one.group for one in drawn]),
    ):
        table[f"{column} number"] = pd.factorize(np.array(values, dtype=object))[0] + 1
        table[column] = values
    table.insert(0, "Image number", np.arange(1, len(drawn) + 1))
    table.to_csv(path, index=False, lineterminator="\n")
