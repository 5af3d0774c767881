"""The two sides of a decoder's fold: what it learns from, and what it is tested on.

The training side is read into one table of inputs for each subject, kept in the work folder; of
the test side only responses to test images are read, after everything is fitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError, LeakError
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig, Normalise, ResponsesMode
from neuroattn.data.splits import Fold
from neuroattn.decoding.decoder import Ids, Rows, SubjectRows
from neuroattn.decoding.decoder_schemas import (
    Average,
    DecoderConfig,
    Reduce,
    SelectionConfig,
    TrainedDecoderConfig,
)
from neuroattn.decoding.eeg_schemas import TsconvConfig
from neuroattn.decoding.inputs import (
    SubjectInput,
    blocks,
    chosen_columns,
    fit_input,
    parcels_of,
    write_table,
)
from neuroattn.decoding.network_schemas import ParcelTransformerConfig
from neuroattn.encoding.sides import Unit, training_rows
from neuroattn.encoding.trained import held_out

HELD_OUT, OPENLY = "held_out", "train"


@dataclass(frozen=True, eq=False)
class UnitSide:
    """One subject in the fold.

    Parameters
    ----------
    view : responses on the scale that is fitted and tested on.
    rows : its training rows.
    """

    unit: Unit
    view: Prepared
    train: Ids
    test: Ids
    rows: SubjectRows

    @property
    def input(self) -> SubjectInput:
        """From responses to inputs."""
        return self.rows.input

    def tested(self, average: Average) -> tuple[Rows, Ids]:
        """Inputs (rows, …) of the test side, and the place of each in ``test``.

        One row an image where responses are averaged, else one row a trial.
        """
        columns = self.input.columns
        if average is Average.responses:
            found = self.view.image_responses(self.test, ResponsesMode.mean, columns=columns)
            return self.input.apply(found), np.arange(len(self.test))
        trials, places = self.view.trial_rows(self.test)
        return self.input.apply(self.view.responses(trials, columns)), places


def on_scale(data: Prepared, train: Ids, dataset: DatasetConfig) -> Prepared:
    """Responses in z-scores of their session, where the config asks for them."""
    if dataset.normalise is Normalise.none:
        return data
    seen = train if dataset.normalise is Normalise.session_train else None
    return data.scaled(data.session_scale(seen))


@dataclass(frozen=True)
class SideMaker:
    """Makes the sides of subjects.

    Parameters
    ----------
    work : folder of tables, gone when the artefact is done.
    """

    config: DecoderConfig
    dataset: DatasetConfig
    seed: int
    work: Path

    def make(self, unit: Unit, train: Ids, test: Ids) -> UnitSide:
        """Fit the input of a subject and write its table.

        Raises
        ------
        ConfigError, DataError : regions, networks or responses that cannot be read.
        """
        view = on_scale(unit.data, train, self.dataset)
        given, targets = self.config.input, unit.data.targets
        columns = chosen_columns(given, targets)
        raw = self.work / f"responses-{unit.name}.npy"
        images, table = training_rows(view, train, self.dataset.responses, columns, raw)
        fitted = fit_input(given, targets, columns, table, self.seed)
        inputs = write_table(self.work / f"inputs-{unit.name}.npy", fitted, table)
        rows = SubjectRows(
            subject=unit.name,
            input=fitted,
            table=inputs,
            images=images,
            parcels=self._parcels(unit, fitted, table),
            people=people_of(view, train, self.dataset.responses),
            unpaired=self._unpaired(view, fitted, np.concatenate([train, test])),
        )
        del table
        raw.unlink()
        return UnitSide(unit, view, train, test, rows)

    def _parcels(self, unit: Unit, fitted: SubjectInput, table: Rows) -> NDArray[Any] | None:
        """Parcel of each input, for the decoder that has parcels as tokens, or its channel."""
        if isinstance(self.config, TsconvConfig) and fitted.projection is None:
            names = unit.data.targets["rois"].fillna("").astype(str)
            return names.to_numpy(dtype=object)[fitted.columns]
        if not isinstance(self.config, ParcelTransformerConfig):
            return None
        if self.config.input.projection is Reduce.pca:
            raise ConfigError(
                "principal components are in no parcel",
                expected="decoder.input.projection=none or parcels",
                found="pca",
                fix="set decoder.input.projection=none",
            )
        if self.config.input.projection is Reduce.parcels:
            return np.array([str(index) for index in range(fitted.width)], dtype=object)
        one_tr = unit.data.targets.iloc[fitted.columns[: fitted.targets]].reset_index(drop=True)

        def frames() -> Iterator[Rows]:
            for part in blocks(table):
                yield fitted.standardised(table[part]).reshape(-1, fitted.targets)

        return parcels_of(self.config.input, one_tr, frames, self.seed)

    def _unpaired(self, view: Prepared, fitted: SubjectInput, paired: Ids) -> Rows | None:
        """Inputs of responses to images on neither side, for pre-training without images."""
        config = self.config
        if not isinstance(config, ParcelTransformerConfig) or config.pretraining.epochs == 0:
            return None
        images = np.setdiff1d(view.image_ids, paired)
        if not len(images):
            return None
        return fitted.apply(view.responses(view.trial_rows(images)[0], fitted.columns))


def people_of(view: Prepared, train: Ids, mode: ResponsesMode) -> Ids | None:
    """Number of the person of each training row, where several share their targets."""
    if mode is not ResponsesMode.single:  # a mean is over all of them
        return None
    people = view.trials["subject"].astype(str).to_numpy()[view.trial_rows(train)[0]]
    known, number = np.unique(people, return_inverse=True)
    return None if len(known) == 1 else np.asarray(number, dtype=np.int64)


def selection_of(
    config: DecoderConfig, prepared: Prepared, fold: Fold, train: Ids, seed: int
) -> tuple[str, Ids]:
    """Name and image ids of the set that chooses the best epoch; no test image is among them.

    Raises
    ------
    LeakError : the test side would choose.
    ConfigError : there is no such split, or none of its images is on the training side.
    """
    selection = config.selection if isinstance(config, TrainedDecoderConfig) else SelectionConfig()
    name = selection.split.strip()
    if name.lower() == "test":
        raise _chosen_by_test(name, "the test side by name")
    if name == HELD_OUT:
        return HELD_OUT, held_out(np.unique(train), selection.share, seed)
    if name == OPENLY:
        return OPENLY, np.unique(train)
    if name not in prepared.splits:
        raise ConfigError(
            "there is no such split to choose the epoch by",
            expected=" | ".join([HELD_OUT, OPENLY, *prepared.splits]),
            found=name,
            fix="set decoder.selection.split to one of them",
        )
    images = np.asarray(prepared.splits[name]["test"], dtype=np.int64)
    common = np.intersect1d(images, fold.test)
    if common.size:
        raise _chosen_by_test(name, f"{common.size} of its images on the test side")
    inside = np.intersect1d(images, train)
    if not inside.size:
        raise ConfigError(
            f"no image of the split {name} is on the training side",
            expected="responses to images that choose the epoch",
            found="none",
            fix=f"set decoder.selection.split={HELD_OUT}",
        )
    return name, inside


def _chosen_by_test(name: str, found: str) -> LeakError:
    return LeakError(
        f"the selection split {name} is the test split",
        expected="images that are not tested on",
        found=found,
        fix=f"set decoder.selection.split={HELD_OUT}",
    )


def check_paired(prepared: Prepared, known: NDArray[np.int64], features: Path) -> None:
    """Refuse trials whose images have no embeddings.

    Raises
    ------
    DataError : naming some of these images.
    """
    shown = np.unique(prepared.trials["image"].to_numpy(dtype=np.int64))
    absent = np.setdiff1d(shown, known)
    if absent.size:
        named = ", ".join(map(str, absent[:5].tolist())) + (", …" if absent.size > 5 else "")
        raise DataError(
            "trials without the embedding of their image",
            file=features,
            expected=f"features of all {len(shown)} images that were shown",
            found=f"none of {absent.size} images: {named}",
            fix="make the features from the same prepared dataset",
        )
