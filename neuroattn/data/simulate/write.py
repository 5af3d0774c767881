"""The simulated dataset: scenes, a planted cortex, and NSD's files for both, in one folder.

Everything is written beside the folder under a temporary name, which becomes the folder at
the end: there is a whole dataset or none. The same size, seed and number of subjects give the
same bytes.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from neuroattn.core.atomic import (
    ensure_folder,
    read_json,
    storage_errors,
    write_json,
    write_text,
)
from neuroattn.core.errors import ConfigError
from neuroattn.core.progress import Progress
from neuroattn.data.folders import is_there, publish
from neuroattn.data.nsd import layout
from neuroattn.data.simulate import rules, truth
from neuroattn.data.simulate.algonauts_files import write_algonauts
from neuroattn.data.simulate.coco import (
    plan_photographs,
    stimulus_table,
    write_annotations,
    write_stimulus_table,
)
from neuroattn.data.simulate.compose import Layout, compose
from neuroattn.data.simulate.cortex import Cortex, plan_cortex
from neuroattn.data.simulate.gallery import Compose, Gallery, build_gallery, plan_catalogue
from neuroattn.data.simulate.image_files import write_matlab
from neuroattn.data.simulate.noise import NSD_MEDIAN, SPACE, VERSION, plan_noise
from neuroattn.data.simulate.plan import SUBJECTS, Plan, expdesign, plan_experiment
from neuroattn.data.simulate.readme import readme
from neuroattn.data.simulate.scene import Pool, Scene
from neuroattn.data.simulate.sizes import Size, deviations, size_named
from neuroattn.data.simulate.subject_files import Subject, SubjectFiles, plan_spaces

VERSION_NUMBER: Final = 1


def simulate(
    folder: Path | str,
    size: Size | str = "tiny",
    *,
    seed: int = 0,
    subjects: int = 1,
) -> Path:
    """Write the dataset to ``folder`` and return it; one that is already there is kept.

    Parameters
    ----------
    size : ``tiny``, ``demo``, ``nsd_like``, or a `Size`.
    subjects : 1 to 8; the second has other noise, positions and order of vertices.

    Raises
    ------
    ConfigError : no such size, or a number of subjects that NSD does not have.
    StorageError : something else is in the folder, or it cannot be written.
    """
    chosen = size_named(size) if isinstance(size, str) else size
    made = _parameters(chosen, seed, subjects)
    target = Path(folder).expanduser().absolute()
    if is_there(target, made, _recorded):
        return target
    ensure_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with storage_errors(target):
            temporary.mkdir()
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
    return {"version": VERSION_NUMBER, "size": asdict(size), "seed": seed, "subjects": subjects}


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
    summary = {}
    with Progress("sessions", sum(maker.plan.sessions)) as bar:
        for number in range(1, made["subjects"] + 1):
            subject = maker.plan_subject(gallery, number)
            summary[subject.name] = maker.write_subject(subject, bar)
    description = _description(made, gallery, maker.plan, summary)
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
                catalogue, composer(self.seed, self.size.side),
                [_fields(cortex, self.size) for cortex in self.cortices],
                stimuli=layout.stimuli(self.root), masks=masks, bar=bar,
            )  # fmt: skip
        photographs = plan_photographs(self.seed)
        table = stimulus_table(self.plan, photographs, self.seed)
        write_stimulus_table(layout.stim_info(self.root), table)
        write_annotations(gallery, photographs, self.root, self.size.side)
        return gallery

    def plan_subject(self, gallery: Gallery, number: int) -> Subject:
        """Everything that is planted for one subject, from 1."""
        cortex = self.cortices[number - 1]
        images = np.unique(self.plan.shown(number))
        rows = gallery.rows(images)
        content = rules.contents([gallery.scenes[row] for row in rows])
        weights = rules.plan_weights(cortex, self.seed, number)
        channels = gallery.channels[number - 1][rows]
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
            signal=rules.noiseless(cortex, weights, channels, content),
        )

    def write_subject(self, subject: Subject, bar: Progress) -> dict[str, float]:
        """Write the subject's files and truth; returns a summary of its ceiling."""
        files = SubjectFiles(self.root, subject, self.plan, self.size, self.seed)
        repeats = files.write(bar)
        if self.size.all_formats:
            sessions = self.size.algonauts_sessions
            write_algonauts(self.root, subject, repeats, self.plan, sessions)
        folder = self.root / truth.FOLDER / subject.name
        return truth.write_subject_truth(folder, subject, self.plan, repeats)


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
    made: dict[str, Any], gallery: Gallery, plan: Plan, summary: dict[str, Any]
) -> dict[str, Any]:
    catalogue = gallery.catalogue
    return {
        "label": "simulated responses",
        "simulated": True,
        "parameters": made,
        "deviations": deviations(Size(**made["size"])),
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
        },
        "subjects": summary,
    }
