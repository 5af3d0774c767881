"""Warnings: each is there when its cause is, with a remedy, and not otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.reports.blocks import Notice
from neuroattn.reports.sections.warnings import blocks
from neuroattn.reports.sources import Sources
from tests.unit.reports.fabricate import Chain


class Stub(Artefact):
    """An artefact with other records than those on the disk."""

    def __init__(self, real: Artefact, **said: Any) -> None:
        super().__init__(real.folder)
        self.said = said

    @property
    def provenance(self) -> dict[str, Any]:
        return {**super().provenance, **self.said.get("provenance", {})}

    @property
    def config(self) -> dict[str, Any]:
        return {**super().config, **self.said.get("config", {})}

    def has(self, name: str) -> bool:
        return name in self.said or super().has(name)

    def json(self, name: str) -> Any:
        return self.said[name] if name in self.said else super().json(name)


def titles(sources: Sources) -> list[str]:
    found = blocks(sources)
    assert all(isinstance(notice, Notice) for notice in found)
    assert all(dict(notice.facts)["remedy"] for notice in found), "a warning without a remedy"
    return [notice.title for notice in found]


def clean(made: Chain) -> Sources:
    """Sources without anything to warn of."""
    code = {"code": {"commit": "a" * 40, "dirty": False}}
    parents = {name: Stub(item, provenance=code) for name, item in made.parents.items()}
    sources = Sources(parents)
    table = sources.scores.assign(nc=0.5)
    image = np.arange(2000)
    folds = pd.DataFrame(
        {"fold": 0, "image": image, "side": np.where(image < 1500, "train", "test")}
    )
    return with_tables(sources, scores=table, folds=folds)


def with_tables(sources: Sources, **tables: pd.DataFrame) -> Sources:
    changed = replace(sources)
    changed.__dict__.update({**_read(sources), **tables})
    return changed


def _read(sources: Sources) -> dict[str, Any]:
    return {name: sources.__dict__[name] for name in ("scores", "folds") if name in vars(sources)}


def stubbed(sources: Sources, stage: str, **said: Any) -> Sources:
    real = sources.parents[stage]
    assert isinstance(real, Stub)
    changed = replace(
        sources, parents={**sources.parents, stage: Stub(real, **{**real.said, **said})}
    )
    changed.__dict__.update(_read(sources))
    return changed


def test_a_clean_report_has_no_warnings(made: Chain) -> None:
    assert titles(clean(made)) == []


def test_simulated_data_come_first(made: Chain) -> None:
    sources = clean(made)
    changed = with_tables(sources, dataset={**sources.dataset, "simulated": True})
    assert titles(changed) == ["Simulated responses"]


@pytest.mark.parametrize(
    ("protocol", "title"),
    [
        ({"normalise_saw_test": True}, "Z-scores saw test trials"),
        ({"selection_saw_test": True}, "The selection of targets saw test trials"),
        ({"ceiling_from": "all trials"}, "Noise ceilings saw test trials"),
    ],
)
def test_what_saw_test_trials_is_said(made: Chain, protocol: dict[str, Any], title: str) -> None:
    assert titles(stubbed(clean(made), "encode", **{"protocol.json": protocol})) == [title]


def test_images_on_both_sides_and_few_images_are_said(made: Chain) -> None:
    sources = clean(made)
    leak = pd.DataFrame({"fold": [0], "image": [1600], "side": ["train"]})
    leaking = with_tables(sources, folds=pd.concat([sources.folds, leak], ignore_index=True))
    (notice,) = blocks(leaking)
    assert isinstance(notice, Notice)
    assert (notice.level, notice.title) == ("error", "Training and test images overlap")
    few = with_tables(sources, folds=sources.folds[sources.folds["image"].between(1400, 1520)])
    assert titles(few) == ["Few training images", "Few test images"]
    told = [notice.text for notice in blocks(few) if isinstance(notice, Notice)]
    assert "attention in a whole simulated visual cortex" in told[0], "as docs/results.md has it"


def test_shared_sources_are_said(made: Chain) -> None:
    sources = clean(made)
    folds = sources.folds.assign(image=sources.folds["image"] % 60)
    folds = folds[~((folds["side"] == "train") & (folds["image"] < 20))]
    folds = folds[~((folds["side"] == "test") & (folds["image"] >= 20))]
    images = sources.images.assign(source="cat")
    found = titles(with_tables(sources, folds=folds, images=images))
    assert found[0] == "Test images share sources with training images"


def test_undefined_scores_and_missing_ceilings_are_said(made: Chain) -> None:
    sources = clean(made)
    table = sources.scores.assign(nc=np.nan)
    table.loc[3, "r"] = np.nan
    found = titles(with_tables(sources, scores=table))
    assert found == ["Targets without a score", "No noise ceiling"]


def test_pictures_of_the_shipped_generator_beside_measured_responses_are_said(made: Chain) -> None:
    sources, title = clean(made), "Pictures drawn by a generator of simulated scenes"
    shipped, own, none = (
        {"generator": {"family": "embedded", "source": "generator"}},
        {"generator": {"family": "embedded", "source": "lab/generator"}},  # of the same kind
        {"generator": {}},  # retrieved
    )

    def drawn(*facts: dict[str, Any], simulated: bool = False) -> list[str]:
        real = sources.parents["encode"]
        assert isinstance(real, Stub)
        names = ("synthesize", "synthesize/other-1")
        parts = {
            name: Stub(real, **{**real.said, "generator.json": one})
            for name, one in zip(names, facts, strict=False)
        }
        changed = replace(sources, parents={**sources.parents, **parts})
        dataset = {**sources.dataset, "simulated": simulated}
        return titles(with_tables(changed, **_read(sources), dataset=dataset))

    assert drawn(shipped) == drawn(own, shipped) == [title]
    assert drawn(own) == drawn(none) == []
    assert drawn(shipped, simulated=True) == ["Simulated responses"]


def test_penalties_at_an_end_count_targets_above_chance_alone(made: Chain) -> None:
    grid = {"config": {"encoder": {"alpha_min": 0.1, "alpha_max": 1000.0}}}
    sources = stubbed(clean(made), "encode", **grid)
    assert titles(sources) == ["Penalties at the end of their grid"] * 2
    null = sources.scores["alpha"].isin([0.1, 1000.0])
    tested = sources.scores.assign(q=np.where(null, 0.9, 0.001))
    assert titles(with_tables(sources, scores=tested)) == []


def test_uncommitted_and_different_code_is_said(made: Chain) -> None:
    dirty = {"code": {"commit": "b" * 40, "dirty": True}}
    found = titles(stubbed(clean(made), "prepare", provenance=dirty))
    assert found == ["Made with uncommitted changes", "Made with different versions of the code"]
