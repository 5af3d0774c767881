"""A simulated NSD-imagery: what was seen, attended and imagined, in the files of the real one.

Twelve runs of 48 trials, six targets of a set eight times each; set A bars and crosses, set B
scenes, set C ideas. A vision and an imagery trial has one beta and an attention trial two, its
cue and its search, so there are 720 (NSD data manual, "Functional data (nsdimagery)"). Seen
pictures follow the rules of the main experiment. What is imagined moves late targets alone, and
less: that is planted, not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from neuroattn.core.seeding import generator
from neuroattn.data.nsd import layout
from neuroattn.data.simulate.experiments import Shown, pattern, thing
from neuroattn.data.simulate.gallery import Compose, Gallery, enlarge
from neuroattn.data.simulate.image_files import png, write_matlab
from neuroattn.data.simulate.scene import CATEGORIES

Picture = NDArray[np.uint8]
Signal = NDArray[np.float32]

CUES: Final = {"A": "HRVLPE", "B": "WKBCDT", "C": "SZMYNF"}
TRIALS, EACH = 48, 8
#: Late signal of what is imagined, or looked for, over that of the same thing seen; early 0.
STRENGTH: Final = 0.5
_BARS: Final = (("bar", 0.0), ("bar", 45.0), ("bar", 90.0), ("bar", 135.0),
                ("crs", 0.0), ("crs", 45.0))  # fmt: skip
_LENGTH, _WIDTH, _FIELD = 450, 43, 714  # pixels of a bar, and of the field, on the display
_OUTSIDE: Final = 2_000_000  # number of the first scene that is in no other experiment
_GREY: Final = 127
_SLOT: Final = {"vis": 4.0, "img": 4.0, "att": 8.0}  # seconds of a trial
_BLANKS: Final = 3  # slots before the first trial


@dataclass(frozen=True, eq=False)
class Targets:
    """The eighteen targets and what stands for them.

    Parameters
    ----------
    names : by set, the six files (A, B) or ideas (C), in the order of `CUES`.
    seen : (set, cue) -> what a vision trial shows; of set C, eight pictures that differ.
    idea : (set, cue) -> what is imagined.
    """

    names: dict[str, tuple[str, ...]]
    seen: dict[tuple[str, str], tuple[Shown, ...]]
    idea: dict[tuple[str, str], Shown]


@dataclass(frozen=True)
class Event:
    """One beta: what made it, and how much of its rules is in it."""

    run: str
    trial: int
    condition: str
    part: str  # seen, imagined, cue or search
    picture: int  # which of a target's pictures was shown


def targets(side: int, gallery: Gallery, shared: NDArray[np.int64],
            compose: Compose) -> Targets:  # fmt: skip
    """Draw or choose them; those of set B are shared images with different things in them."""
    simple = [_simple(kind, degrees, side) for kind, degrees in _BARS]
    known = [_of_gallery(gallery, shared, place, compose) for place in _chosen(gallery, shared)]
    outside = compose(_OUTSIDE, True)
    known.append(Shown("shared0000_nsd00000.png", outside.pixels, outside))
    seen: dict[tuple[str, str], tuple[Shown, ...]]
    seen = {("A", cue): (one,) for cue, one in zip(CUES["A"], simple, strict=True)}
    seen |= {("B", cue): (one,) for cue, one in zip(CUES["B"], known, strict=True)}
    idea = {key: pictures[0] for key, pictures in seen.items()}
    blank = np.full((side, side, 3), _GREY, np.uint8)
    ideas = _examples(compose)
    for cue, category in zip(CUES["C"], CATEGORIES, strict=True):
        seen["C", cue] = ideas[category]
        idea["C", cue] = Shown(category, blank, pattern((thing(category),)))
    names = {"A": tuple(one.name for one in simple), "B": tuple(one.name for one in known),
             "C": CATEGORIES}  # fmt: skip
    return Targets(names, seen, idea)


def events(seed: int) -> list[Event]:
    """The 720 betas in order, the same for all subjects."""
    found: list[Event] = []
    for run in layout.IMAGERY_RUNS:
        conditions = _conditions(seed, run)
        count = dict.fromkeys(conditions, 0)
        for trial, condition in enumerate(conditions, start=1):
            parts = {"vis": ("seen",), "img": ("imagined",), "att": ("cue", "search")}[run[:3]]
            found += [Event(run, trial, condition, part, count[condition]) for part in parts]
            count[condition] += 1
    return found


def responses(
    shown: Sequence[Event],
    found: Targets,
    answer: Callable[[Sequence[Shown]], Signal],
    late: NDArray[np.bool_],
) -> Signal:
    """Noiseless responses (events, planted).

    Parameters
    ----------
    answer : pictures -> (pictures, planted) noiseless responses to seeing them.
    late : (planted,) targets that imagery moves.
    """
    keys = [(key, number) for key, part in found.seen.items() for number in range(len(part))]
    seen = answer([found.seen[key][number] for key, number in keys])
    row = {place: at for at, place in enumerate(keys)}
    imagined = np.float32(STRENGTH) * late * answer(list(found.idea.values()))
    idea = {key: at for at, key in enumerate(found.idea)}
    rows = np.zeros((len(shown), seen.shape[1]), dtype=np.float32)
    for at, event in enumerate(shown):
        key = (event.run[3], event.condition)
        if event.part == "seen":
            rows[at] = seen[row[key, event.picture % len(found.seen[key])]]
        elif event.part != "cue":
            rows[at] = imagined[idea[key]]
    return rows


def truth_table(seed: int, found: Targets) -> pd.DataFrame:
    """One row for every beta: what it is of."""
    rows = []
    for beta, event in enumerate(events(seed)):
        key = (event.run[3], event.condition)
        target = dict(zip(CUES[key[0]], found.names[key[0]], strict=True))[key[1]]
        things = found.idea[key].scene.things
        rows.append({
            "beta": beta, "run": event.run, "trial": event.trial, "part": event.part,
            "condition": event.condition, "target": target,
            "things": "|".join(one.category for one in things),
        })  # fmt: skip
    return pd.DataFrame(rows)


def captions(found: Targets) -> dict[str, list[str]]:
    """What could be said of each picture of sets A and B, by the name of its file."""
    told = {}
    for letter in "AB":
        for cue in CUES[letter]:
            one = found.seen[letter, cue][0]
            told[one.name] = list(one.scene.captions) or [_said(one.name)]
    return told


def _said(name: str) -> str:
    kind, degrees = name.split("_")[:2]
    thing_seen = "bar" if kind == "bar" else "cross"
    return f"A white {thing_seen} at {float(degrees.removesuffix('deg')):g} degrees."


def write_targets(root: Path, found: Targets) -> None:
    """Pictures of sets A and B, and what the cues of every set stand for."""
    for letter, folder in zip("AB", layout.imagery_pictures(root), strict=False):
        for cue in CUES[letter]:
            one = found.seen[letter, cue][0]
            _write_png(folder / one.name, enlarge(one.pixels))
    for letter, names in found.names.items():
        rows = np.empty((len(names), 3), dtype=object)
        for place, (name, cue) in enumerate(zip(names, CUES[letter], strict=True)):
            rows[place] = [float(place + 1), name, cue]
        write_matlab(layout.imagery_pairs(root, letter), {"pair_list": rows})


def write_runs(root: Path, subject: int, found: Targets, seed: int) -> None:
    """The tables of a subject's runs, and the frames that they name."""
    folder = layout.imagery_pictures(root)[2]
    for number, run in enumerate(layout.IMAGERY_RUNS, start=1):
        table = run_table(run, number, subject, found, seed)
        path = layout.imagery_behaviour(root, layout.subject_name(subject), run)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.drop(columns="picture").to_csv(path, sep="\t", index=False, lineterminator="\n")
        for row in table.to_dict("records"):
            frame = folder / Path(row["FRAMEFILE"]).name
            if not frame.exists():
                _write_png(frame, _frame(found, run, row["CONDITION"], row["CUE"], row["picture"]))


def run_table(run: str, number: int, subject: int, found: Targets, seed: int) -> pd.DataFrame:
    """One row for each trial of a run."""
    random = generator(seed, "imagery", "cues", run)
    conditions, count = _conditions(seed, run), dict.fromkeys(CUES[run[3]], 0)
    rows = []
    for trial, condition in enumerate(conditions):
        cue = condition
        if run.startswith("vis") and random.random() < 0.5:  # the question of the vision task
            cue = str(random.choice([other for other in CUES[run[3]] if other != condition]))
        pictures = found.seen[run[3], condition]
        picture = count[condition] % len(pictures)
        count[condition] += 1
        stem = Path(pictures[picture].name).stem if run.startswith("vis") else "blank"
        rows.append({
            "SUBJECT": subject, "RUN": number, "TRIAL": trial + 1, "CONDITION": condition,
            "CUE": cue, "FRAMEFILE": f"allstim/{stem}_cue{cue}.png",
            "TRIALONSET": _SLOT[run[:3]] * (_BLANKS + trial), "picture": picture,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _conditions(seed: int, run: str) -> list[str]:
    random = generator(seed, "imagery", "order", run)
    return [str(cue) for cue in random.permutation(np.repeat(list(CUES[run[3]]), EACH))]


def _simple(kind: str, degrees: float, side: int) -> Shown:
    """A white bar, or two that cross, on grey."""
    more = 4
    canvas = Image.new("L", (more * side, more * side), _GREY)
    draw = ImageDraw.Draw(canvas)
    for turn in (degrees,) if kind == "bar" else (degrees, degrees + 90.0):
        draw.polygon(_corners(turn, more * side), fill=255)
    grey = np.asarray(canvas.resize((side, side), Image.Resampling.BOX))
    name = f"{kind}_{degrees:05.1f}deg_{_LENGTH}L_{_WIDTH}W.png"
    return Shown(name, np.repeat(grey[..., None], 3, axis=2), pattern())


def _corners(degrees: float, side: int) -> list[tuple[float, float]]:
    angle, scale = np.deg2rad(degrees), side / _FIELD / 2
    along = np.array([np.cos(angle), -np.sin(angle)]) * _LENGTH * scale
    across = np.array([np.sin(angle), np.cos(angle)]) * _WIDTH * scale
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return [tuple(side / 2 + a * along + b * across) for a, b in signs]


def _chosen(gallery: Gallery, shared: NDArray[np.int64]) -> Iterator[int]:
    """Places in ``shared`` of five images, each with a thing that the others need not have."""
    known = np.flatnonzero(np.isin(shared, gallery.catalogue.images))
    taken: set[int] = set()
    for category in ("face", "word", "body", "animal", "vehicle"):
        for place in known.tolist():
            scene = gallery.scenes[int(gallery.rows(shared[[place]])[0])]
            if place not in taken and any(one.category == category for one in scene.things):
                taken.add(place)
                break
    yield from sorted([*taken, *(p for p in known.tolist() if p not in taken)][:5])


def _of_gallery(gallery: Gallery, shared: NDArray[np.int64], place: int,
                compose: Compose) -> Shown:  # fmt: skip
    """A shared image; its name counts both its place and its 73k id from 1, as NSD does."""
    row = int(gallery.rows(shared[[place]])[0])
    number = int(gallery.numbers[row])
    scene = compose(number, gallery.scenes[row].unseen)
    name = f"shared{place + 1:04d}_nsd{int(shared[place]) + layout.FIRST_ID:05d}.png"
    return Shown(name, scene.pixels, scene)


def _examples(compose: Compose) -> dict[str, tuple[Shown, ...]]:
    """Eight scenes of each category, composed for nothing else."""
    found: dict[str, list[Shown]] = {category: [] for category in CATEGORIES}
    number = _OUTSIDE
    while any(len(part) < EACH for part in found.values()):
        number += 1
        scene = compose(number, True)
        wanting = [one.category for one in scene.things if len(found[one.category]) < EACH]
        if wanting:
            least = min(wanting, key=lambda category: len(found[category]))
            name = f"{least}{len(found[least]):04d}_nsd00000.png"
            found[least].append(Shown(name, scene.pixels, scene))
    return {category: tuple(part) for category, part in found.items()}


def _frame(found: Targets, run: str, condition: str, cue: str, picture: int) -> Picture:
    """What was on the screen: a picture or an empty field, and the cue at fixation."""
    one = found.seen[run[3], condition][picture].pixels
    field = enlarge(one) if run.startswith("vis") else np.full_like(enlarge(one), _GREY)
    canvas = Image.fromarray(field)
    draw, middle = ImageDraw.Draw(canvas), canvas.width / 2
    font = ImageFont.truetype(f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", 14)
    draw.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=(0, 0, 0))
    draw.ellipse((middle - 10, middle - 10, middle + 10, middle + 10), fill=(_GREY,) * 3)
    draw.text((middle, middle), cue, fill=(0, 0, 0), font=font, anchor="mm")
    return np.asarray(canvas)


def _write_png(path: Path, pixels: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(pixels))
