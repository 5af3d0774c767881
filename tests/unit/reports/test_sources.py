from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.errors import ArtefactError
from neuroattn.reports.blocks import Prose
from neuroattn.reports.sections import methods
from neuroattn.reports.sources import Sources
from tests.unit.reports.fabricate import Chain, chain


def test_parents_are_cited_by_label_and_fingerprint(made: Chain) -> None:
    sources = Sources(made.parents)
    short = made.parents["encode"].fingerprint[:8]
    assert sources.name("encode") == f"encode/ridge-{short}"
    assert sources.stamp("encode").source == sources.name("encode")


def test_tables_are_those_of_the_parents(made: Chain) -> None:
    sources = Sources(made.parents)
    assert len(sources.scores) == len(sources.targets) == 24
    assert set(sources.folds["side"]) == {"train", "test"}
    assert len(sources.images) * 3 == len(sources.trials)


def test_only_a_dataset_that_says_so_is_simulated(made: Chain, tmp_path: Path) -> None:
    assert not Sources(made.parents).simulated
    assert Sources(chain(tmp_path, simulated=True).parents).simulated
    assert not Sources({}).simulated


def test_a_stage_that_is_missing_is_no_error_until_it_is_read(made: Chain) -> None:
    sources = Sources(made.without("encode").parents)
    assert sources.has("prepare")
    assert not sources.has("prepare", "encode")


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    writer = ArtefactWriter(tmp_path / "encode-1")
    writer.table("scores.tsv", pd.DataFrame({"target": [1], "r": [0.5]}))
    write_json(writer.folder / "fingerprint.json", {"stage": "encode"})
    writer.finish(provenance={}, metrics={}, methods="")
    with pytest.raises(ArtefactError, match="lacks the columns"):
        _ = Sources({"encode": Artefact(writer.folder)}).scores


def _written(root: Path, stage: str, label: str, **inputs: Artefact) -> Artefact:
    writer = ArtefactWriter(root / stage / label)
    writer.text("a.txt", label)
    write_json(writer.folder / "fingerprint.json", {"stage": stage, "label": label})
    entries = {
        name: {"label": one.label, "fingerprint": one.fingerprint} for name, one in inputs.items()
    }
    write_json(writer.folder / "inputs.json", entries)
    writer.finish(provenance={}, metrics={}, methods=f"How {label} was made.")
    return Artefact(writer.folder)


def test_what_stands_behind_a_parent_of_other_keys_is_found_once_and_in_order(
    tmp_path: Path,
) -> None:
    prepare = _written(tmp_path, "prepare", "p")
    main = _written(tmp_path, "features", "main", prepare=prepare)
    other = _written(tmp_path, "features", "other", prepare=prepare)
    encode = _written(tmp_path, "encode", "e", features=other, prepare=prepare)
    caption = _written(tmp_path, "caption", "c", encode=encode, features=other)
    sources = Sources({"prepare": prepare, "features": main, "caption": caption})
    assert [one.label for one in sources.behind] == ["other", "e"]
    assert not Sources({"prepare": prepare, "features": main}).behind
    said = [block for block in methods.blocks(sources) if isinstance(block, Prose)][-1]
    assert [text.partition(": ")[2] for text in said.paragraphs] == [
        "How other was made.",
        "How e was made.",
    ]
    shutil.rmtree(encode.folder)  # tidied away; its own parent is still named by the caption
    assert [one.label for one in Sources(sources.parents).behind] == ["other"]
