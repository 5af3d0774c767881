"""Reader of the Natural Scenes Dataset; see `neuroattn.data.dataset.Dataset`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.data.dataset import Description, ResponseBlock, Splits, Stimuli
from neuroattn.data.grid import Grid, grid_of
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.betas import Part, open_betas, session_blocks
from neuroattn.data.nsd.files import NsdFiles, find
from neuroattn.data.nsd.localisers import read_localisers
from neuroattn.data.nsd.ncsnr import read_ncsnr
from neuroattn.data.nsd.sets import TrialSet, open_trials
from neuroattn.data.nsd.targets import Space, masked_space, target_table
from neuroattn.data.registry import NanPolicy, NsdConfig

_MIB = 1 << 20
_CITATION = (
    "Allen et al. 2022, A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial "
    "intelligence, Nature Neuroscience 25:116-126"
)
_FINER = {10_242: "fsaverage5", 40_962: "fsaverage6"}  # vertices of a hemisphere


def _mesh(space: str, shapes: list[tuple[int, ...]]) -> str:
    """The space; surface data on a coarser mesh of the fsaverage family are named after it."""
    return _FINER.get(int(np.prod(shapes[0])), space) if space == "fsaverage" else space


class NsdDataset:
    """One subject of NSD in one space.

    Opening reads tables, labels and the headers of all sessions; betas are streamed.
    """

    one_subject: ClassVar[bool] = True  # several are put together by `open_dataset`

    def __init__(self, config: NsdConfig) -> None:
        self.config, self.files = config, find(config)
        self._counts, shapes = _headers(self.files)
        self._set: TrialSet = open_trials(
            config.trial_set, self.files, self._counts, config.imagery_sets
        )
        self.trials: pd.DataFrame = self._set.trials
        self.stimuli: Stimuli = self._set.stimuli
        space = masked_space(config, self.files, shapes)
        self.lost = 0
        if config.nan_policy is NanPolicy.drop_targets:
            lost = self._lost(space)
            self.lost, space = int(lost.sum()), space.without(lost)
        self.space: Space = space
        self.splits: Splits = self._set.splits
        self.captions: dict[str, list[str]] = self._set.captions
        self.categories: dict[str, list[str]] = self._set.categories

    @property
    def description(self) -> Description:
        """What was recorded, and what was chosen of it."""
        config = self.config
        simulated = self.files.simulated is not None
        return Description(
            name=f"{'Simulated NSD' if simulated else 'NSD'} {self.files.subject}",
            units="% signal change",
            space=_mesh(config.space.value, self.space.shapes),
            description=f"betas {layout.VERSIONS[config.betas.value]}; {self._set.note}; "
            f"mask {config.mask}; {self._missing()}",
            **layout.whose(_CITATION, simulated=simulated),
        )

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row per place that is kept, the left hemisphere first."""
        return target_table(self.config, self.files, self.space)

    @cached_property
    def supplied_ncsnr(self) -> NDArray[np.float32] | None:
        """Ncsnr (targets,) that came with the betas; it has seen all trials."""
        return read_ncsnr(self.files.ncsnr, self.space.shapes, self.space.places)

    @property
    def planted_files(self) -> Mapping[str, Path]:
        """Files of a simulation's planted truth by name; empty for recordings."""
        return self.files.planted

    @cached_property
    def localisers(self) -> pd.DataFrame:
        """What the other experiments measured of each target, as far as the files are there."""
        files = self.files
        return read_localisers(files.localisers, files.planted, self.space, self.targets)

    @cached_property
    def grid(self) -> Grid | None:
        """Shape and affine of the volume; None on a surface, or where no file has them."""
        if self.config.space.value not in layout.VOLUMES:
            return None
        labels = [path for label in self.files.labels.values() for path in label.parts]
        masks = [self.files.mask_file] if self.files.mask_file else []
        betas = [paths[0] for paths in self.files.sessions.values()]
        files = [*labels, *self.files.cortex, *masks, *self.files.ncsnr, *betas]
        return grid_of(files, self.space.shapes[0])

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image shown; its source is its photograph, or what a scene is made of."""
        shown = np.unique(self.trials["image"].to_numpy(dtype=np.int64))
        return pd.DataFrame(
            {
                "image": shown,
                "file": [self.stimuli.file(int(image)) for image in shown],
                "source": [self._set.sources.get(int(image), "") for image in shown],
            }
        )

    def response_blocks(self) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, targets) float32, % signal change), session by session.

        Raises
        ------
        DataError : a value is NaN, and ``nan_policy`` is not ``zero``.
        """
        done = 0
        for session, start, values in self._session_blocks(self.space):
            missing = np.isnan(values)
            if missing.any():
                if self.config.nan_policy is not NanPolicy.zero:
                    raise self._no_data(session, start, missing)
                values[missing] = 0
            yield slice(done, done + len(values)), values
            done += len(values)

    def response_origin(self, row: int) -> tuple[Path, str]:
        """The file of the left hemisphere or of the volume, and the trial in it, from 0."""
        session = int(self.trials["session"].iloc[row])
        first = int(np.flatnonzero(self.trials["session"].to_numpy() == session)[0])
        kept = self._set.rows.get(session)
        place = row - first if kept is None else int(kept[row - first])
        return self.files.sessions[session][0], f"trial {place} of session {session}"

    def _session_blocks(self, space: Space) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        for session, paths in self.files.sessions.items():
            parts = [Part(path, kept) for path, kept in zip(paths, space.places, strict=True)]
            kept = self._set.rows.get(session)
            block = self.config.block_mib * _MIB
            for rows, values in session_blocks(parts, self.files.format, block):
                if kept is None:
                    yield session, rows.start, values
                    continue
                chosen = kept[(kept >= rows.start) & (kept < rows.stop)]
                if len(chosen):
                    yield session, int(chosen[0]), values[chosen - rows.start]

    def _lost(self, space: Space) -> NDArray[np.bool_]:
        """Targets (targets,) that are NaN at either end of a session, or have no ncsnr.

        A vertex that a session lost is NaN in all its trials, so two of them tell, at 0.3 % of
        the bytes; a NaN that they miss is refused while streaming.
        """
        lost = np.zeros(space.count, dtype=np.bool_)
        for paths in self.files.sessions.values():
            edges = []
            for path, kept in zip(paths, space.places, strict=True):
                with open_betas(path, self.files.format) as file:
                    if file.scale != 1:  # integers hold no NaN
                        edges.append(np.zeros(len(kept), dtype=np.bool_))
                        continue
                    trials = {0, file.trials - 1}
                    rows = [np.isnan(file.read(trial, trial + 1, kept)[0]) for trial in trials]
                    edges.append(np.any(rows, axis=0))
            lost |= np.concatenate(edges)
        supplied = read_ncsnr(self.files.ncsnr, space.shapes, space.places)
        return lost if supplied is None else lost | np.isnan(supplied)

    def _missing(self) -> str:
        words = {
            NanPolicy.refuse: "targets without data refused",
            NanPolicy.drop_targets: f"{self.lost} targets without data in a session left out",
            NanPolicy.zero: "responses without data set to zero",
        }
        return words[self.config.nan_policy]

    def _no_data(self, session: int, start: int, missing: NDArray[np.bool_]) -> DataError:
        row, target = (int(place) for place in np.argwhere(missing)[0])
        side = int(target >= len(self.space.places[0])) if len(self.space.places) > 1 else 0
        return DataError(
            "targets have no data in this session",
            file=self.files.sessions[session][side],
            expected="numbers",
            found=f"NaN at trial {start + row}, target {target} "
            f"({int(missing.any(axis=0).sum())} targets)",
            fix="set dataset.nan_policy=drop_targets (leaves them out everywhere) or zero",
        )


def _headers(files: NsdFiles) -> tuple[dict[int, int], list[tuple[int, ...]]]:
    """Betas of each session, and the shape of each part, from the headers of all files."""
    counts: dict[int, int] = {}
    shapes: list[tuple[int, ...]] | None = None
    for session, paths in files.sessions.items():
        here, trials = [], set()
        for path in paths:
            with open_betas(path, files.format) as file:
                here.append(file.shape)
                trials.add(file.trials)
        shapes = shapes or here
        if here != shapes or len(trials) != 1:
            raise DataError(
                "a file of betas has another shape than the others",
                file=paths[0],
                expected=f"{shapes}, equally many trials on all sides",
                found=f"{here}, {sorted(trials)} trials",
                fix="fetch the file again; it belongs to another subject or space, or is cut off",
            )
        counts[session] = trials.pop()
    return counts, shapes or []
