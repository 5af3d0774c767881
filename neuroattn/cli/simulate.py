"""``neuroattn data simulate``: write a dataset with simulated responses in the form of NSD."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from neuroattn.cli.jobs import leave_on_sigterm
from neuroattn.core.resources import user_path

KEYS = ("size", "seed", "subjects", "versions", "experiments", "form")
NSD, THINGS = "nsd", "things_eeg2"
SIZES = ("tiny", "demo", "nsd_like")  # stated here, so that --help costs no heavy import


def simulate(words: Sequence[str]) -> int:
    """Run the verb; prints the folder on stdout and returns the exit code."""
    arguments = _parser().parse_args([_as_flag(word) for word in words])
    if arguments.form == THINGS:
        return _things(arguments)
    from neuroattn.data.simulate.write import simulate as write

    with leave_on_sigterm():
        folder = write(
            arguments.folder,
            arguments.size,
            seed=arguments.seed,
            subjects=1 if arguments.subjects is None else arguments.subjects,
            versions=_names(arguments.versions),
            experiments=_names(arguments.experiments),
        )
    if arguments.pictures:
        _draw(folder, arguments.pictures)
    print(folder)
    return 0


def _things(arguments: argparse.Namespace) -> int:
    """Write a dataset in the form of THINGS-EEG2."""
    from neuroattn.data.simulate.things import Design, simulate_things

    subjects = 10 if arguments.subjects is None else arguments.subjects
    design = Design(subjects=subjects, mismatch=not arguments.matched)
    with leave_on_sigterm():
        folder = simulate_things(arguments.folder, design, arguments.seed)
    print(folder)
    return 0


def _draw(folder: Path, pictures: Path) -> None:
    """Draw the dataset in ``folder`` as PNG files."""
    from neuroattn.core.atomic import read_json
    from neuroattn.data.nsd.layout import simulated
    from neuroattn.data.simulate.drawings import draw, parameters_of

    draw(parameters_of(folder, read_json(simulated(folder))), pictures)


def _as_flag(word: str) -> str:
    """``size=demo`` as ``--size=demo``, since that is how stages are told."""
    is_key = word.partition("=")[0] in KEYS and "=" in word
    return f"--{word}" if is_key else word


def _names(text: str | None) -> list[str] | None:
    """``b1,b3`` as a list; nothing where the size decides, an empty list for ``none``."""
    if text is None:
        return None
    return [name for part in text.strip("[]").split(",") if (name := part.strip()) != "none"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neuroattn data simulate",
        description="Write simulated responses to composed scenes as files of NSD: for tests "
        "(tiny: every space and format), for trying things (demo: fsaverage5, 10 sessions), and "
        "with NSD's own numbers of sessions, images and repeats (nsd_like: few vertices). The "
        "folder is kept if it already holds the same.",
    )
    parser.add_argument("folder", type=Path, help="folder of the dataset: dataset.root afterwards")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--subjects", type=int, metavar="N", help="of nsd 1 to 8 (1), of things_eeg2 1 to 99 (10)"
    )
    parser.add_argument(
        "--form", choices=(NSD, THINGS), default=NSD,
        help="nsd, or things_eeg2 (EEG of pictures of gratings; of the rest, --seed applies)",
    )  # fmt: skip
    parser.add_argument(
        "--matched",
        action="store_true",
        help="things_eeg2: epochs hold the fine detail of pictures too, so no blur can help",
    )
    parser.add_argument(
        "--versions", metavar="V", help="versions of the betas, as in b1,b3 (tiny: all; else b3)"
    )
    parser.add_argument(
        "--experiments", metavar="E",
        help="synthetic,imagery or none: NSD's further sessions (tiny: both; else none)",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", type=user_path, metavar="DIR",
        help="also draw scenes, what they are made of and the planted regions, as PNG, in DIR",
    )  # fmt: skip
    return parser
