"""What every decoder that is trained by gradients shares: data, fitting, storing.

Training is `neuroattn.training.loop.fit`; the best epoch is chosen on images that are neither
trained on nor tested. No image network runs here: targets are rows of a table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import derive_seed
from neuroattn.decoding.agreement import repeats_agree
from neuroattn.decoding.decoder import DecodingSet, Ids, Rows
from neuroattn.decoding.decoder_schemas import Negatives, TrainedDecoderConfig
from neuroattn.decoding.network import DecoderNetwork, Encoder
from neuroattn.decoding.partial import Split
from neuroattn.decoding.prior import Bank
from neuroattn.decoding.targets import TargetSpace
from neuroattn.decoding.task import DecodingTask, Whole
from neuroattn.encoding.kept import keep_history
from neuroattn.training.batches import Batch
from neuroattn.training.loop import Runtime, fit
from neuroattn.training.sampler import Indices
from neuroattn.training.selection import SelectionSet, TrainingData
from neuroattn.training.tracking import Silent

AT_ONCE = 1024  # rows that are embedded at a time


class RowSource:
    """Batches of rows of several subjects, sorted by subject.

    Parameters
    ----------
    tables, images : of each subject.
    chosen : rows of each subject that belong to this side.
    mix : Beta of the shares, and share of the trials, that are mixed; None mixes none.
    people : person of each row of each subject, where several share their targets.
    """

    def __init__(
        self,
        tables: list[Rows],
        images: list[Ids],
        chosen: list[Ids],
        mix: tuple[float, float] | None = None,
        people: list[Ids | None] | None = None,
    ) -> None:
        self.tables, self.chosen, self.mix = tables, chosen, mix
        self.images = np.concatenate([ids[rows] for ids, rows in zip(images, chosen, strict=True)])
        self.subject = np.repeat(np.arange(len(chosen)), [len(rows) for rows in chosen])
        self.starts = np.cumsum([0, *(len(rows) for rows in chosen)])
        self.person = persons(people or [None] * len(chosen), chosen)

    def __len__(self) -> int:
        return len(self.images)

    def agreement(self) -> NDArray[np.float64]:
        """How well the repeats of each row's image agree, (rows,); NaN where there is one."""
        starts = zip(self.tables, self.chosen, self.starts, strict=False)
        parts = []
        for table, rows, start in starts:
            mine = slice(start, start + len(rows))
            shown = np.stack([self.person[mine], self.images[mine]])
            pairs = np.full(len(table), -1, dtype=np.int64)
            pairs[rows] = np.unique(shown, axis=1, return_inverse=True)[1].reshape(-1)
            parts.append(repeats_agree(table, pairs, rows))
        return np.concatenate(parts)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Rows of some samples: ``input-<subject>``, ``image``, ``row``, ``partner``, ``share``."""
        order = np.sort(np.asarray(indices))  # rows are sorted by subject, and read in one sweep
        subject = self.subject[order]
        out: Batch = {
            "row": torch.from_numpy(order),
            "image": torch.from_numpy(self.images[order]),
        }
        for number, table in enumerate(self.tables):
            mine = order[subject == number] - self.starts[number]
            out[f"input-{number}"] = torch.from_numpy(np.array(table[self.chosen[number][mine]]))
        if self.mix is not None:
            partner, share = mixing(subject, *self.mix, rng)
            out["partner"], out["share"] = torch.from_numpy(partner), torch.from_numpy(share)
        return out


def bank_of(space: TargetSpace, source: RowSource) -> Bank:
    """What a prior may know of these training rows."""
    blur = space.stores[0].blur if space.stores else None
    return Bank(space, source.images, source.person, source.agreement, blur)


def mixing(
    subject: Ids, beta: float, share: float, rng: np.random.Generator
) -> tuple[Ids, NDArray[np.float32]]:
    """Partner of each row within its subject, and each row's own share; 1 where it is not mixed."""
    partner = np.arange(len(subject))
    for number in np.unique(subject):
        rows = np.flatnonzero(subject == number)
        partner[rows] = rng.permutation(rows)
    own = rng.beta(beta, beta, size=len(subject)).astype(np.float32)
    return partner, np.where(rng.random(len(subject)) < share, own, 1.0).astype(np.float32)


def persons(people: list[Ids | None], chosen: list[Ids]) -> Ids:
    """Number of the person of each chosen row, over all subjects."""
    found, first = [], 0
    for mine, rows in zip(people, chosen, strict=True):
        numbers = np.zeros(len(rows), dtype=np.int64) if mine is None else mine[rows]
        found.append(first + numbers)
        first += 1 if mine is None else int(mine.max()) + 1
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class FittedTrained:
    """A trained decoder.

    Parameters
    ----------
    network : on the CPU, in evaluation mode.
    train : what it was trained on.
    """

    name: str
    network: DecoderNetwork
    space: TargetSpace
    train: DecodingSet

    def embed(self, subject: int, inputs: Rows) -> Rows:
        """Embeddings (rows, dim)."""
        out = np.empty((len(inputs), self.space.dim), dtype=np.float32)
        with torch.no_grad():
            for start in range(0, len(inputs), AT_ONCE):
                part = torch.from_numpy(np.array(inputs[start : start + AT_ONCE]))
                out[start : start + AT_ONCE] = self.network.embed(subject, part).numpy()
        return out

    def module(self, subject: int) -> Callable[[Any], Any]:
        """The same on tensors."""
        return lambda inputs: self.network.embed(subject, inputs)

    def split(self, subject: int) -> Split | None:
        """See `neuroattn.decoding.decoder.FittedDecoder.split`."""
        layers = getattr(self.network.encoder, "subjects", None)
        linear = layers[subject] if isinstance(layers, torch.nn.ModuleList) else None
        if not isinstance(linear, torch.nn.Linear):
            return None
        network = self.network
        head = network.head if network.retrieval is None else network.retrieval
        folded = self.train.subjects[subject].input.fold(linear.weight.detach().numpy().T)

        def rest(hidden: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = head(network.encoder.rest(hidden))
            return out

        return Split(np.ascontiguousarray(folded.T), linear.bias.detach().numpy(), rest)

    def gallery(self, images: Ids) -> Rows:
        """As the prior looks for pictures."""
        with torch.no_grad():
            found: torch.Tensor = self.network.prior.gallery(images)
        return found.cpu().numpy()

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Weights without the prior."""
        arrays = {name: value.cpu().numpy() for name, value in self.network.weights().items()}
        widths = [rows.table.shape[1] for rows in self.train.subjects]
        return arrays, {"decoder": self.name, "inputs": widths, "dim": self.space.dim}


class TrainedDecoder(ABC):
    """A decoder that is trained by gradients.

    Parameters
    ----------
    config : the section ``decoder``.
    """

    def __init__(self, config: TrainedDecoderConfig) -> None:
        self.config = config

    @abstractmethod
    def encoder(self, train: DecodingSet) -> Encoder:
        """The untrained encoder; its random weights come from torch's seeded global stream."""

    @abstractmethod
    def methods(self) -> str:
        """A sentence for the Methods text, without a full stop."""

    def network(self, train: DecodingSet, prior: nn.Module | None = None) -> DecoderNetwork:
        """The untrained network, which a fitted one is read into as well."""
        space = train.space
        return DecoderNetwork(self.encoder(train), space.dim, len(space.blocks), self.config, prior)

    def begin(self, network: DecoderNetwork, train: DecodingSet) -> None:  # noqa: B027
        """Change an untrained network before it is trained (pre-training); most leave it."""

    def fit(self, train: DecodingSet) -> FittedTrained:
        """Train on the training side alone; resumes from ``train.work``.

        Raises
        ------
        ConfigError, DataError, LeakError : the keys do not fit the data, or would select on them.
        """
        torch.manual_seed(derive_seed(train.seed, "weights"))
        name, chosen = train.selection
        source, selected = self._sources(train)
        network = self.network(train, train.make_prior(bank_of(train.space, source)))
        data = TrainingData(
            train=source,
            train_images=np.unique(source.images),
            selection=SelectionSet(name, np.unique(chosen), selected),
            test_images=train.forbidden,
        )
        self.begin(network, train)
        self._train(network, data, train)
        return FittedTrained(self.config.name, network.cpu().eval(), train.space, train)

    def _sources(self, train: DecodingSet) -> tuple[RowSource, RowSource]:
        """Rows that are trained on, and rows that choose the epoch."""
        name, chosen = train.selection
        tables = [rows.table for rows in train.subjects]
        images = [rows.images for rows in train.subjects]
        inside = [np.isin(ids, chosen) for ids in images]
        loss = self.config.loss
        everything = name == "train"
        kept = [np.flatnonzero(~held | everything) for held in inside]
        _check_rows(kept, [rows.subject for rows in train.subjects])
        held = [np.flatnonzero(held) for held in inside]
        mix = (loss.mixco_beta, loss.mixco_share)
        people = [rows.people for rows in train.subjects]
        own = RowSource(tables, images, kept, mix, people)
        return own, RowSource(tables, images, held)

    def _task(
        self, network: DecoderNetwork, data: TrainingData, train: DecodingSet
    ) -> DecodingTask:
        loss, bank = self.config.loss, None
        if loss.negatives is Negatives.bank:
            ids = np.unique(data.train_images)
            # As blurred as the targets: else blur alone tells a brain's picture from the others.
            bank = Whole(torch.from_numpy(ids), network.prior.gallery(ids))
        epochs = self.config.training.epochs
        space = train.space
        return DecodingTask(network, loss, space.slices, space.shares, epochs, bank)

    def _train(self, network: DecoderNetwork, data: TrainingData, train: DecodingSet) -> None:
        training = self.config.training
        steps = -(-len(data.train) // (training.batch_size * training.accumulate))
        reporter = (
            nullcontext(Silent())
            if train.open_progress is None
            else train.open_progress("training steps", steps * training.epochs)
        )
        with reporter as progress:
            outcome = fit(
                network, self._task(network, data, train), data, training,
                seed=train.seed, folder=train.work / "training",
                runtime=Runtime(
                    device=train.device, tracker=train.tracker or Silent(), progress=progress
                ),
            )  # fmt: skip
        keep_history(train.work, outcome.history)


def _check_rows(kept: list[Ids], names: list[str]) -> None:
    for rows, name in zip(kept, names, strict=True):
        if not len(rows):
            raise ConfigError(
                f"{name or 'the dataset'} has no training data left beside the selection",
                expected="training images that do not choose the epoch",
                found="none",
                fix="lower decoder.selection.share, or choose another decoder.selection.split",
            )
