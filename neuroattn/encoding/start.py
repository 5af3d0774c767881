"""Taking over the routing of a fitted attention encoder, for subjects that it has never seen.

What was learned over many images of some subjects (where each query looks, and what it makes of
it) is loaded; only linear readouts of new targets are fitted, on as few images as there are.

The routing has seen the pictures that it was trained on, whoever saw them. A fold is therefore
begun from a fold of the other artefact whose training pictures, compared by their bytes and
down to its own beginnings, are none of this fold's test pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch.optim import Optimizer

from neuroattn.core.artefact import Artefact
from neuroattn.core.config import restore
from neuroattn.core.errors import ArtefactError, ConfigError, LeakError
from neuroattn.core.tables import FOLDS, read_tsv, rois_of
from neuroattn.encoding.attention_readout import APART, AttentionModel, AttentionReadout
from neuroattn.encoding.queries import (
    REST,
    query_table,
    table_on,
    table_to_json,
)
from neuroattn.encoding.readout import read_model
from neuroattn.encoding.registry import AttentionConfig, QueryKind
from neuroattn.encoding.trained import Network, Plan, Shapes
from neuroattn.features.joined import PARENT, further
from neuroattn.training.optimisers import build_optimiser

ROUTING = ("encoder.project", "encoder.router")
# What must agree, because the routing was trained so.
_ALIKE = (
    "queries", "overlap", "n_queries", "heads", "dim", "hidden", "place", "norm", "depth", "mix",
)  # fmt: skip
Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Start:
    """A fitted artefact from which fits begin.

    Parameters
    ----------
    artefact : of the stage ``encode``, fitted by ``encoder=attention`` with one routing.
    features : the features that the new fit reads; they must come from the same backbone.
    digests : image id -> SHA-256 of its picture, in the new dataset.
    also : further features that the new fit reads, by name.
    """

    artefact: Artefact
    features: Artefact
    digests: Mapping[int, str]
    also: Mapping[str, Artefact] = field(default_factory=dict)

    def check(self, config: AttentionConfig) -> None:
        """Refuse an artefact whose routing would mean something else here.

        Raises
        ------
        ConfigError : another readout, another architecture, another backbone, or queries that
            belong to the targets of another fit.
        """
        if config.queries in APART:
            raise ConfigError(
                "these queries belong to the targets that they were fitted for",
                expected="encoder.queries of regions, streams, hemispheres, one or free",
                found=config.queries.value,
                fix="fit without encoder.start",
            )
        theirs = self.artefact.config["encoder"]
        if theirs["name"] != config.name:
            raise self._unlike(
                "encoder",
                config.name,
                theirs["name"],
                "start from an artefact of encoder=attention",
            )
        known = restore(AttentionConfig, theirs)
        for key in _ALIKE:
            if getattr(known, key) != getattr(config, key):
                raise self._unlike(
                    f"encoder.{key}", getattr(config, key), getattr(known, key),
                    f"set encoder.{key} as there, or start from another artefact",
                )  # fmt: skip
        ours = _made({"": self.features, **self.also})
        others = _made(features_of(self.artefact))
        if ours != others:
            raise self._unlike(
                "backbone", ours, others, "choose the backbone that it was fitted on"
            )

    def model(self, fold: str, test: Ids) -> AttentionModel:
        """The fitted readout of a fold that was trained on none of the ``test`` images.

        Raises
        ------
        LeakError : every fold was trained on some of them.
        ArtefactError : it has a routing for each of several subjects.
        """
        pictures = {self.digests[int(image)] for image in test}
        seen = {}
        for name, digests in trained_on(self.artefact):
            if f"fold-{name}/model.json" not in self.artefact.files:
                raise ArtefactError(
                    "this artefact has a routing for each of its subjects",
                    file=self.artefact.folder, expected="one routing",
                    found=f"no fold-{name}/model.json",
                    fix="start from one that was fitted with encoder.subjects=shared",
                )  # fmt: skip
            if not digests & pictures:
                config = restore(AttentionConfig, self.artefact.config["encoder"])
                model = read_model(config, self.artefact, f"fold-{name}")
                if not isinstance(model, AttentionModel):
                    raise TypeError(type(model))
                return model
            seen[name] = len(digests & pictures)
        raise LeakError(
            f"the routing to begin with was trained on test pictures of the fold {fold}",
            file=self.artefact.folder,
            expected="a fold of it that has not seen them",
            found=", ".join(f"fold {name}: {count} of them" for name, count in seen.items()),
            fix="use one split for both, such as dataset.split.kind=shared1000 or file",
        )

    def _unlike(self, what: str, ours: object, theirs: object, fix: str) -> ConfigError:
        return ConfigError(
            f"the artefact to start from has another {what}", file=self.artefact.folder,
            expected=ours, found=theirs, fix=fix,
        )  # fmt: skip


def _made(features: Mapping[str, Artefact]) -> dict[str, dict[str, Any]]:
    """What makes features the same whatever the pictures are, by name."""
    return {
        name: {key: one.fingerprint_payload[key] for key in ("version", "science", "leaves")}
        for name, one in features.items()
    }


def features_of(artefact: Artefact) -> dict[str, Artefact]:
    """The features that an ``encode`` artefact was fitted on by name; its backbone's is empty."""
    also = {name: parent_of(artefact, PARENT + name) for name in further(artefact.inputs)}
    return {"": parent_of(artefact, "features"), **also}


def parent_of(artefact: Artefact, stage: str) -> Artefact:
    """A parent of an artefact, in the folders beside its own.

    Raises
    ------
    ArtefactError : it is not there.
    """
    label = str(artefact.inputs[stage]["label"])
    of = "encode" if stage == "start" else stage.partition("/")[0]
    return Artefact(artefact.folder.parent.parent / of / label)


def trained_on(artefact: Artefact) -> Iterator[tuple[int, frozenset[str]]]:
    """Folds of an ``encode`` artefact with the digests of all pictures behind their weights."""
    images = parent_of(artefact, "prepare").table("images.tsv")
    digests = dict(zip(images["image"], images["sha256"], strict=True))
    before: frozenset[str] = frozenset()
    if "start" in artefact.inputs:
        before = before.union(*(seen for _, seen in trained_on(parent_of(artefact, "start"))))
    table = read_tsv(artefact.path("folds.tsv"), FOLDS)
    for name, rows in table[table["side"] == "train"].groupby("fold", sort=True):
        yield int(str(name)), before | {str(digests[image]) for image in rows["image"]}


class ContinuedAttention(AttentionReadout):
    """The attention readout with a routing that is already there.

    Parameters
    ----------
    config : the section ``encoder``.
    model : whose routing it is.
    """

    def __init__(self, config: AttentionConfig, model: AttentionModel) -> None:
        super().__init__(config)
        self.model = model

    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:
        """Who reads which of the queries that were taken over.

        Raises
        ------
        ConfigError : other tokens, or targets that none of the queries reads for.
        """
        if dict(shapes) != dict(self.model.shapes):
            raise ConfigError(
                "the routing to begin with was trained on other tokens",
                expected=self.model.shapes, found=dict(shapes),
                fix="read the same layers of the same backbone",
            )  # fmt: skip
        config, names = self.config, self.model.queries
        if config.queries is QueryKind.free:
            return super().plan(targets, shapes)
        rois = known_rois(names, targets) if config.queries is QueryKind.rois else None
        table = query_table(targets, config.queries, rois=rois, overlap=config.overlap)
        return {"queries": table_to_json(table_on(table, names))}

    def begin(self, network: Network) -> Optimizer | None:
        """Load the routing; freeze it, or give it a learning rate of its own."""
        theirs = self.model.network
        network.front.load_state_dict(theirs.front.state_dict())
        weights, ours = theirs.core.state_dict(), network.core.state_dict()
        taken = {name: weights[name] for name in ours if name.startswith(ROUTING)}
        network.core.load_state_dict({**ours, **taken})
        routing = [
            weight for name, weight in network.core.named_parameters() if name.startswith(ROUTING)
        ]
        share = self.config.start_lr
        if not share:
            for weight in routing:
                weight.requires_grad_(False)
            return None
        return _two_rates(network, routing, share, self.config)


def _two_rates(
    network: Network, routing: list[Any], share: float, config: AttentionConfig
) -> Optimizer:
    optimiser, inside = build_optimiser(network, config.training.optimiser), set(map(id, routing))
    groups = optimiser.param_groups[:]
    optimiser.param_groups.clear()
    for group in groups:
        for slow in (False, True):
            part = [weight for weight in group["params"] if (id(weight) in inside) is slow]
            if part:
                rate = group["lr"] * (share if slow else 1.0)
                optimiser.add_param_group({**group, "params": part, "lr": rate})
    return optimiser


def known_rois(queries: tuple[str, ...], targets: pd.DataFrame) -> list[str]:
    """Regions of ``targets`` that have a query, in the order of the queries."""
    there = {name for cell in targets["rois"] for name in rois_of(cell)}
    named = (query[3:] if query[:3] in ("lh.", "rh.") else query for query in queries)
    return [name for name in dict.fromkeys(named) if name != REST and name in there]
