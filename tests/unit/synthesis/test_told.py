"""Pictures from captions: which caption a seed gets, and the stage on the tiny chain."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

# Imported now: a module first imported under the patch below would keep the patched function.
import neuroattn.captioning.stage
from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.synthesis.told import TABLE, prompts, told_table
from neuroattn.synthesis.wishes import parse
from tests.chain import EXTRA, neuroattn, words

ROWS = pd.DataFrame(
    {
        "target": [0, 0, 1, 2, 3],
        "caption": ["a cat", "a dog", "a face", "a null", ""],
        "confidence": [0.5, 0.2, 0.9, 1.0, np.nan],
        "gated": [True, True, True, True, False],
        "null": [False, False, False, True, False],
    }
)


class Fake:
    def __init__(self, folder: Path, prepare: str = "p", **tables: pd.DataFrame) -> None:
        self.folder, self.inputs = folder, {"prepare": {"fingerprint": prepare}}
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, na_rep="n/a")

    def path(self, name: str) -> Path:
        return self.folder / name


def _parents(folder: Path, prepare: str = "p") -> dict[str, Fake]:
    columns = {"subject": "s", "hemisphere": "lh", "vertex": 0, "rois": ""}
    targets = pd.DataFrame({"target": [10, 11, 12, 13], **columns})
    return {
        "prepare": Fake(folder, targets=targets),
        "encode": Fake(folder),
        "caption": Fake(folder, prepare, captions=ROWS),
    }


def _objective(*weights: float) -> SimpleNamespace:
    return SimpleNamespace(wish=parse("A"), raised=torch.tensor(weights))


TARGETS = pd.DataFrame({"target": [10, 11, 12, 13]})


def test_seeds_take_the_captions_of_raised_targets_in_turn_surest_first(tmp_path: Path) -> None:
    found = prompts(_parents(tmp_path), [_objective(0.5, 0.5, 0, -1)], TARGETS)["A"]
    said = [found(seed) for seed in range(4)]
    assert [one["caption"] for one in said] == ["a face", "a cat", "a dog", "a face"]
    assert [one["target"] for one in said] == [11, 10, 10, 11]


def test_null_and_ungated_targets_have_no_say(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no target of A has a caption"):
        prompts(_parents(tmp_path), [_objective(0, 0, 0.5, 0.5)], TARGETS)


def test_captions_of_another_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another dataset"):
        prompts(_parents(tmp_path, prepare="q"), [_objective(1, 0, 0, 0)], TARGETS)


def test_without_captions_there_is_no_row() -> None:
    assert not len(told_table([{"file": "x", "objective": None, "seed": 0}]))


def test_the_stage_draws_each_picture_of_its_caption(
    tiny_data: Path, all_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> torch.Tensor:
        asked.append(list(texts))
        values = [[float(len(one) + n) for n in range(16)] for one in texts]
        return torch.nn.functional.normalize(torch.tensor(values), dim=1)

    space = SimpleNamespace(dim=16, encode_text=encode)
    monkeypatch.setattr("neuroattn.generators.loading.load", lambda *_: space)
    captions = [word.format(data=tiny_data) for word in EXTRA["caption"]]
    words("caption", tiny_data, all_root)  # writes the captions that these words name
    more = ("guidance=captions", "synthesis.images=4", "synthesis.chunk=2", *captions,
            "caption.gate.measure=r_squared", "caption.gate.threshold=0", "caption.gate.q=1",
            "synthesis.evaluation.run=false")  # fmt: skip
    ran = neuroattn(*words("synthesize", tiny_data, all_root, *more))
    assert ran.code == 0, ran.err
    made = Artefact(ran.path)
    assert set(made.inputs) == {"prepare", "encode", "caption"}
    told = made.table(TABLE)
    assert told["seed"].tolist() == [0, 1, 2, 3]
    assert {one for part in asked for one in part} == set(told["caption"])
    assert set(made.table("images.tsv")["method"]) == {"captions", "none"}
    assert made.json("images/early_sim-captions-000000.json")["told"]["caption"] == asked[0][0]
