"""The transformer readout behind the contract of readouts: fit, predict, store, look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError
from neuroattn.core.resources import user_path
from neuroattn.core.seeding import generator
from neuroattn.encoding.attention import Architecture
from neuroattn.encoding.attention_encoder import AttentionEncoder
from neuroattn.encoding.budget import Step, check_memory
from neuroattn.encoding.looks import cosines
from neuroattn.encoding.parcels import atlas_names, parcel_names, response_points
from neuroattn.encoding.queries import (
    Asked,
    Free,
    Own,
    QueryTable,
    asked_from_json,
    asked_to_json,
    query_table,
)
from neuroattn.encoding.readout import Features, TrainingSet
from neuroattn.encoding.registry import (
    AttentionConfig,
    Mix,
    ParcelBy,
    Place,
    QueryKind,
    Subjects,
)
from neuroattn.encoding.retina_map import vertex_places
from neuroattn.encoding.tokens import Images, Tokens, join, joined, read
from neuroattn.encoding.trained import Plan, Shapes, TrainedModel, TrainedReadout

LOOKS = 16  # pictures whose attention weights of all heads are held at a time
APART = (QueryKind.parcels, QueryKind.targets)  # queries that no other subject can share


class AttentionCore(nn.Module):
    """The transformer readout over the layers, joined or mixed."""

    def __init__(self, encoder: AttentionEncoder, mix: Mix = Mix.joined) -> None:
        super().__init__()
        self.encoder, self.mix = encoder, mix

    def forward(self, tokens: Tokens) -> Tensor:
        """Responses (images, targets)."""
        out: Tensor = self.encoder(self._given(tokens))
        return out

    def looks(self, tokens: Tokens) -> Tensor:
        """Attention weights (images, heads, queries, tokens)."""
        return self.encoder.looks(self._given(tokens))

    def _given(self, tokens: Tokens) -> Tensor | list[Tensor]:
        return join(tokens) if self.mix is Mix.joined else list(tokens.values())


@dataclass(frozen=True, eq=False)
class AttentionModel(TrainedModel):
    """A fitted transformer readout, which can say where it looks."""

    @property
    def asked(self) -> Asked:
        """Who has a query, and which targets read which."""
        return asked_from_json(self.plan)

    @property
    def queries(self) -> tuple[str, ...]:
        """Names of the attention maps: the queries, or regions where each target has its own."""
        return self.asked.names

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the tokens."""
        return joined(self.shapes).grid

    def attention(self, features: Features, images: Images) -> NDArray[np.float16]:
        """Weights (images, queries, tokens), averaged over heads, row by row of `grid`."""
        return self._maps(features, images, heads=False)

    def heads(self, features: Features, images: Images) -> NDArray[np.float16]:
        """Weights (images, heads, queries, tokens), row by row of `grid`."""
        return self._maps(features, images, heads=True)

    def similarity(self) -> NDArray[np.float32]:
        """Cosine (queries, queries) between the learned queries, or between means over regions."""
        vectors = self._core.encoder.router.queries.detach().numpy()
        asked = self.asked
        if isinstance(asked, Own):
            vectors = np.stack([vectors[asked.shown.targets_of(n)].mean(0) for n in asked.names])
        return cosines(vectors)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """As for every readout of the family; ``mix_<layer>`` where layers are mixed."""
        with torch.no_grad():
            shares = self._core.encoder.shares()
        if shares is None:
            return super().columns()
        named = zip(self.layers, shares.double().unbind(1), strict=True)
        return super().columns() | {f"mix_{layer}": share.numpy() for layer, share in named}

    @property
    def _core(self) -> AttentionCore:
        return cast("AttentionCore", self.network.core)

    def _maps(self, features: Features, images: Images, *, heads: bool) -> NDArray[np.float16]:
        found = [np.empty((0, *self._map_shape(heads)), dtype=np.float16)]
        for start in range(0, len(images), LOOKS):
            tokens = read(features, self.layers, images[start : start + LOOKS])
            with torch.no_grad():
                looks = self._core.looks(self.network.front(tokens))
            found.append((looks if heads else looks.mean(1)).numpy().astype(np.float16))
        return np.concatenate(found)

    def _map_shape(self, heads: bool) -> tuple[int, ...]:
        shape = len(self.queries), self.grid[0] * self.grid[1]
        return (self._core.encoder.router.attention.heads, *shape) if heads else shape


class AttentionReadout(TrainedReadout):
    """The transformer readout, before training.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    fitted: ClassVar[type[TrainedModel]] = AttentionModel
    config: AttentionConfig

    @property
    def joint(self) -> bool:
        """Whether it takes several subjects at once."""
        config = self.config
        return config.subjects is Subjects.shared and config.queries not in APART

    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:
        """Who reads what, and the names of the queries; parcels need the responses too."""
        self._sizes(shapes)
        return asked_to_json(self._asked(targets, None))

    def plan_for(self, train: TrainingSet, shapes: Shapes) -> Plan:
        """The plan, with parcels of the training responses; refuses what memory cannot hold.

        Raises
        ------
        ConfigError : the keys do not fit the targets, the tokens or the memory.
        """
        if self.config.queries is QueryKind.parcels:
            self._sizes(shapes)
            plan = asked_to_json(self._asked(train.targets, self._parcels(train)))
        else:
            plan = self.plan(train.targets, shapes)
        asked = asked_from_json(plan)
        check_memory(
            Step.of(self._sizes(shapes), joined(shapes).grid, asked, len(train.targets)),
            self.config.training.batch_size,
            train.device,
        )
        return plan

    def network(self, plan: Plan, shapes: Shapes) -> AttentionCore:
        """Queries, decoder layers, and a linear readout for each target."""
        encoder = AttentionEncoder(asked_from_json(plan), joined(shapes).grid, self._sizes(shapes))
        return AttentionCore(encoder, self.config.mix)

    def _asked(self, targets: pd.DataFrame, parcels: list[str] | None) -> Asked:
        config = self.config
        if config.atlas is not None and config.queries is not QueryKind.parcels:
            raise ConfigError(
                "an atlas is given that nothing reads",
                expected="encoder.queries=parcels", found=config.queries.value,
                fix="set encoder.queries=parcels, or leave encoder.atlas out",
            )  # fmt: skip
        if config.queries is QueryKind.free:
            return Free(config.n_queries, len(targets))
        if config.queries is QueryKind.targets:
            return Own(len(targets), self._table(targets, QueryKind.rois))
        return self._table(targets, config.queries, parcels)

    def _table(
        self, targets: pd.DataFrame, kind: QueryKind, parcels: list[str] | None = None
    ) -> QueryTable:
        config = self.config
        return query_table(targets, kind, rois=config.rois, overlap=config.overlap, parcels=parcels)

    def _parcels(self, train: TrainingSet) -> list[str]:
        """The parcel of each target, from the atlas or from training rows alone."""
        config = self.config
        if config.atlas is not None:
            return atlas_names(user_path(config.atlas), train.targets)
        random = generator(train.seed, "parcels")
        if config.parcel_by is ParcelBy.vertices:
            points = np.asarray(vertex_places(train.targets), dtype=np.float32)
        else:
            points = response_points(train.responses, random)
        sides = train.targets["hemisphere"].fillna("").astype(str).tolist()
        return parcel_names(points, sides, config.parcels, config.parcel_size, random)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        config = self.config
        return (
            "Responses were predicted by a transformer readout (Adeli, Sun & Kriegeskorte, 2025):"
            f" learned queries ({config.queries.value}) attend to the tokens{self.fewer()}"
            f" with {config.heads} head{'s' if config.heads > 1 else ''}{self._said()}"
            " and targets read linearly from their query;"
            f" trained for at most {config.training.epochs} epochs, the best one chosen on"
            f" {100 * config.selection:g} % of the training images"
        )

    def _said(self) -> str:
        depth, mix = self.config.depth, self.config.mix
        layers = f" in {depth} decoder layers without self-attention" if depth > 1 else ""
        how = "for each target" if mix is Mix.per_target else "for all targets"
        return layers + ("" if mix is Mix.joined else f", layers mixed {how}")

    def _sizes(self, shapes: Shapes) -> Architecture:
        config, channels = self.config, joined(shapes).channels
        layers = tuple(shape.channels for shape in shapes.values())
        dim = config.dim or (channels if config.mix is Mix.joined else max(layers))
        if dim % config.heads:
            raise ConfigError(
                "the heads do not divide the channels",
                expected=f"encoder.heads that divides {dim}",
                found=config.heads,
                fix=f"set encoder.dim to a multiple of {math.lcm(config.heads, 2)}",
            )
        if dim % 2 and config.place in (Place.keys, Place.learned):
            raise ConfigError(
                "a code of place needs an even number of channels",
                expected="an even encoder.dim",
                found=dim,
                fix=f"set encoder.dim={dim + config.heads}, or encoder.place=none",
            )
        return Architecture(
            channels=channels,
            dim=dim,
            heads=config.heads,
            hidden=config.hidden,
            dropout=config.dropout,
            norm=config.norm,
            place=config.place,
            depth=config.depth,
            mix=config.mix,
            layers=layers,
        )
