"""Writes what a dataset has beside the main experiment: NSD-synthetic and NSD-imagery."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.atomic import write_json
from neuroattn.core.tables import write_tsv
from neuroattn.data.nsd.layout import IMAGERY, SYNTHETIC
from neuroattn.data.simulate import imagery, synthetic
from neuroattn.data.simulate.experiments import Core, Shown, planted
from neuroattn.data.simulate.gallery import Compose, Gallery
from neuroattn.data.simulate.plan import Plan
from neuroattn.data.simulate.rois import Kind, load_rois
from neuroattn.data.simulate.scene import PLACE_ATTRIBUTES
from neuroattn.data.simulate.sizes import Size
from neuroattn.data.simulate.subject_files import Subject, SubjectFiles
from neuroattn.data.simulate.synthetic_pictures import colour_pictures

Signal = NDArray[np.float32]


@dataclass
class Beside:
    """The further experiments of one dataset below ``root``."""

    root: Path
    size: Size
    seed: int
    compose: Compose
    _shared: list[Shown] = field(default_factory=list)
    _targets: imagery.Targets | None = None

    def write_shared(self, folder: Path, gallery: Gallery, plan: Plan) -> None:
        """Designs, pictures and truth (below ``folder``) that all subjects have in common."""
        side = self.size.side
        if SYNTHETIC in self.size.experiments:
            synthetic.write_design(self.root, self.seed)
            self._shared = synthetic.write_shared(self.root, self.seed, side, self.compose)
            colour = [synthetic.shown(one) for one in colour_pictures(self.seed, side, 1)]
            write_tsv(folder / "synthetic.tsv", contents_table([*self._shared, *colour]))
        if IMAGERY in self.size.experiments:
            self._targets = imagery.targets(side, gallery, plan.shared, self.compose)
            imagery.write_targets(self.root, self._targets)
            write_tsv(folder / "imagery.tsv", imagery.truth_table(self.seed, self._targets))
            write_json(folder / "imagery_captions.json", imagery.captions(self._targets))

    def write_subject(self, files: SubjectFiles, seen: Core) -> dict[str, Signal]:
        """Pictures, tables and betas of one subject; returns noiseless responses by experiment."""
        subject, signals = files.subject, {}
        if SYNTHETIC in self.size.experiments:
            own = synthetic.write_colour(self.root, self.seed, self.size.side, subject.number)
            answers = planted(subject, seen, [*self._shared, *own])
            signals[SYNTHETIC] = answers[synthetic.order(self.seed)]
        if self._targets is not None:
            imagery.write_runs(self.root, subject.number, self._targets, self.seed)
            signals[IMAGERY] = imagery.responses(
                imagery.events(self.seed), self._targets,
                lambda shown: planted(subject, seen, shown), late_targets(subject),
            )  # fmt: skip
        for name, signal in signals.items():
            files.write_experiment(signal, name)
        return signals


def late_targets(subject: Subject) -> NDArray[np.bool_]:
    """Which of the planted targets follow a rule that does not read pixels: (planted,)."""
    is_late = np.array([roi.kind is not Kind.early for roi in load_rois()])
    return np.asarray(is_late[subject.cortex.roi[subject.cortex.planted]])


def contents_table(pictures: list[Shown]) -> pd.DataFrame:
    """What the late rules read in each picture, numbered from 0."""
    rows = [
        {"image": number, "name": shown.name, "background": shown.scene.background,
         "things": "|".join(one.category for one in shown.scene.things),
         **{name: shown.scene.place_attributes.get(name, np.nan) for name in PLACE_ATTRIBUTES}}
        for number, shown in enumerate(pictures)
    ]  # fmt: skip
    return pd.DataFrame(rows).round(6)
