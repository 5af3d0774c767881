"""The simulated dataset: scenes, a planted cortex, and NSD's files for both, in one folder.

Everything is written beside the folder under a temporary name, which becomes the folder at
the end: there is a whole dataset or none. The same size, seed and number of subjects give the
same bytes.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from neuroattn.core.atomic import (
    ensure_folder,
    read_json,
    storage_errors,
    write_json,
    write_text,
)
from neuroattn.core.errors import ConfigError
from neuroattn.core.progress import Progress
from neuroattn.data.folders import is_there, publish, target_folder
from neuroattn.data.nsd import layout
from neuroattn.data.simulate import rules, truth
from neuroattn.data.simulate.algonauts_files import write_algonauts
from neuroattn.data.simulate.beside import Beside
from neuroattn.data.simulate.coco import (
    plan_photographs,
    stimulus_table,
    write_annotations,
    write_stimulus_table,
)
from neuroattn.data.simulate.compose import Layout, compose
from neuroattn.data.simulate.cortex import Cortex, plan_cortex
from neuroattn.data.simulate.experiments import Core, core
from neuroattn.data.simulate.gallery import Compose, Gallery, build_gallery, plan_catalogue
from neuroattn.data.simulate.image_files import write_matlab
from neuroattn.data.simulate.noise import NOISE, NSD_MEDIAN, SPACE, VERSION, plan_noise
from neuroattn.data.simulate.plan import SUBJECTS, Plan, expdesign, plan_experiment
from neuroattn.data.simulate.readme import readme
from neuroattn.data.simulate.scene import VERSION_NUMBER, Pool, Scene
from neuroattn.data.simulate.sizes import Size, deviations, size_named, with_choices
from neuroattn.data.simulate.subject_files import Subject, SubjectFiles, plan_spaces


def simulate(
    folder: Path | str,
    size: Size | str = "tiny",
    *,
    seed: int = 0,
    subjects: int = 1,
    versions: Sequence[str] | None = None,
    experiments: Sequence[str] | None = None,
) -> Path:
    """Write the dataset to ``folder`` and return it; one that is already there is kept.

    Parameters
    ----------
    size : ``tiny``, ``demo``, ``nsd_like``, or a `Size`.
    subjects : 1 to 8; the second has other noise, positions and order of vertices.
    versions : of ``b1``, ``b2``, ``b3``; None for those of the size.
    experiments : of ``synthetic``, ``imagery``; None for those of the size.

    Raises
    ------
    ConfigError : no such size, version or experiment, or a number of subjects that NSD does
        not have.
    StorageError : something else is in the folder, or it cannot be written.
    """
    chosen = size_named(size) if isinstance(size, str) else size
    chosen = with_choices(chosen, versions, experiments)
    made = _parameters(chosen, seed, subjects)
    target = target_folder(folder)
    if is_there(target, made, _recorded):
        return target
    ensure_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        # Parameters decide every byte: not so where threads share out the sums of a product.
        with storage_errors(target), threadpool_limits(limits=1):
            ensure_folder(temporary)
            _write(temporary, made, chosen)
        publish(temporary, target, made, _recorded)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _parameters(size: Size, seed: int, subjects: int) -> dict[str, Any]:
    if not 1 <= subjects <= SUBJECTS:
        raise ConfigError(
            "NSD has no such number of subjects", expected=f"1 to {SUBJECTS}", found=subjects,
            fix="set --subjects to one of them",
        )  # fmt: skip
    named = {key: list(part) if isinstance(part, tuple) else part
             for key, part in asdict(size).items()}  # fmt: skip
    return {"version": VERSION_NUMBER, "size": named, "seed": seed, "subjects": subjects}


def _recorded(folder: Path) -> Any:
    """What the dataset in ``folder`` was simulated with."""
    description = layout.simulated(folder)
    content = read_json(description) if description.is_file() else None
    return content.get("parameters") if isinstance(content, dict) else None


def _write(root: Path, made: dict[str, Any], size: Size) -> None:
    maker = _Maker(root, size, made["seed"], plan_experiment(size, made["subjects"], made["seed"]))
    gallery = maker.write_stimuli()
    folder = root / truth.FOLDER
    truth.write_scenes(folder, gallery, maker.plan)
    truth.write_rules(folder, gallery)
    beside = Beside(root, size, made["seed"], maker.compose)
    beside.write_shared(folder, gallery, maker.plan)
    summary = {}
    with Progress("sessions", sum(maker.plan.sessions) * len(size.versions)) as bar:
        for number in range(1, made["subjects"] + 1):
            subject, seen = maker.plan_subject(gallery, number)
            summary[subject.name] = maker.write_subject(subject, seen, beside, bar)
    description = _description(made, size, gallery, maker.plan, summary)
    write_json(layout.simulated(root), description)
    write_text(root / "README.md", readme(description))


@dataclass(frozen=True, eq=False)
class _Maker:
    """Writes one dataset below ``root``."""

    root: Path
    size: Size
    seed: int
    plan: Plan

    @cached_property
    def compose(self) -> Compose:
        """What composes a scene by its number."""
        return composer(self.seed, self.size.side)

    @cached_property
    def cortices(self) -> list[Cortex]:
        """The planted maps, by subject."""
        count = len(self.plan.sessions)
        return [plan_cortex(self.seed, n, self.size.vertices) for n in range(1, count + 1)]

    def write_stimuli(self) -> Gallery:
        """Design, pictures, stimulus table and annotations."""
        write_matlab(layout.expdesign(self.root), expdesign(self.plan))
        catalogue = plan_catalogue(self.size, self.plan)
        masks = self.root / truth.FOLDER / truth.MASKS
        masks.parent.mkdir()
        with Progress("scenes", len(np.unique(catalogue.scenes))) as bar:
            gallery = build_gallery(
                catalogue, self.compose,
                [_fields(cortex, self.size) for cortex in self.cortices],
                stimuli=layout.stimuli(self.root), masks=masks, bar=bar,
            )  # fmt: skip
        photographs = plan_photographs(self.seed)
        table = stimulus_table(self.plan, photographs, self.seed)
        write_stimulus_table(layout.stim_info(self.root), table)
        write_annotations(gallery, photographs, self.root, self.size.side)
        return gallery

    def plan_subject(self, gallery: Gallery, number: int) -> tuple[Subject, Core]:
        """Everything that is planted for one subject, from 1, and the scenes it is planted in."""
        cortex = self.cortices[number - 1]
        images = np.unique(self.plan.shown(number))
        seen = core(gallery, number, images, _fields(cortex, self.size))
        weights = rules.plan_weights(cortex, self.seed, number)
        native, volumes = plan_spaces(self.size, cortex, self.seed, number)
        return Subject(
            number=number,
            cortex=cortex,
            group=self.cortices[0],
            weights=weights,
            noise=plan_noise(cortex, self.plan.sessions[number - 1], self.seed, number),
            native=native,
            volumes=volumes,
            images=images,
            signal=rules.noiseless(cortex, weights, seen.channels, seen.content),
        ), seen

    def write_subject(
        self, subject: Subject, seen: Core, beside: Beside, bar: Progress
    ) -> dict[str, float]:
        """Write the subject's files and truth; returns a summary of its ceiling."""
        files = SubjectFiles(self.root, subject, self.plan, self.size, self.seed)
        measured = files.write(bar)
        if self.size.all_formats:
            sessions = self.size.algonauts_sessions
            write_algonauts(self.root, subject, measured.repeats, self.plan, sessions)
        signals = beside.write_subject(files, seen)
        folder = self.root / truth.FOLDER / subject.name
        return truth.write_subject_truth(folder, subject, self.plan, measured, signals)


def composer(seed: int, side: int) -> Compose:
    """The function that composes scene ``number``, of held-out exemplars or not."""
    frame = Layout(side=side)

    def composed(number: int, unseen: bool) -> Scene:
        pool = Pool.unseen if unseen else Pool.seen
        return compose(number, seed=seed, layout=frame, pool=pool)

    return composed


def _fields(cortex: Cortex, size: Size) -> Any:
    early = cortex.planted[rules.early_columns(cortex)]
    return rules.fields(cortex.x[early], cortex.y[early], cortex.width[early], size.side)


def _description(
    made: dict[str, Any], size: Size, gallery: Gallery, plan: Plan, summary: dict[str, Any]
) -> dict[str, Any]:
    catalogue = gallery.catalogue
    return {
        "label": "simulated responses",
        "simulated": True,
        "parameters": made,
        "deviations": deviations(size),
        "counts": {
            "sessions": list(plan.sessions),
            "images": len(catalogue.images),
            "scenes": len(gallery.numbers),
            "unseen_images": int(catalogue.unseen.sum()),
            "source_groups": len({scene.group for scene in gallery.scenes}),
        },
        "ncsnr": {
            "version": layout.VERSIONS[VERSION],
            "space": SPACE,
            "median_in_nsdgeneral": list(NSD_MEDIAN[: made["subjects"]]),
            "noise_over_that_version": {name: NOISE[name] for name in size.versions},
        },
        "subjects": summary,
    }
