"""Pictures from words: which a seed gets, when they are told, and the stage on the tiny chain."""

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
from neuroattn.generators.contract import Condition
from neuroattn.synthesis.drawing import Scene
from neuroattn.synthesis.guidance_schemas import CaptionsConfig, PrimedConfig, Said
from neuroattn.synthesis.told import TABLE, Nouns, Primed, prompts, told_table
from neuroattn.synthesis.wishes import parse
from tests.chain import EXTRA, neuroattn, words
from tests.gaussian_generator import Gaussian

ROWS = pd.DataFrame(
    {
        "target": [0, 0, 1, 2, 3],
        "caption": ["a cat", "a dog", "a face", "a null", ""],
        "confidence": [0.5, 0.2, 0.9, 1.0, np.nan],
        "gated": [True, True, True, True, False],
        "null": [False, False, False, True, False],
    }
)

# Two targets that were captioned and a null one, which has the number of the first.
NOUNS = pd.DataFrame(
    [
        (0, "orange", "food", 1.0, False), (0, "bus", "vehicle", 0.9, False),
        (0, "cat", "animal", 1.0, False), (0, "city", "place", 0.5, False),
        (1, "cat", "animal", 1.0, False), (1, "room", "place", 1.0, False),
        (0, "dog", "animal", 1.0, True),
    ],
    columns=["target", "noun", "class", "share", "null"],
)  # fmt: skip
CAPTIONS, WORDS = CaptionsConfig(), CaptionsConfig(said=Said.nouns)


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
        "caption": Fake(folder, prepare, captions=ROWS, nouns=NOUNS),
    }


def _objective(*weights: float) -> SimpleNamespace:
    return SimpleNamespace(wish=parse("A"), raised=torch.tensor(weights))


TARGETS = pd.DataFrame({"target": [10, 11, 12, 13]})


def test_seeds_take_the_captions_of_raised_targets_in_turn_surest_first(tmp_path: Path) -> None:
    found = prompts(_parents(tmp_path), [_objective(0.5, 0.5, 0, -1)], TARGETS, CAPTIONS)["A"]
    said = [found(seed) for seed in range(4)]
    assert [one["caption"] for one in said] == ["a face", "a cat", "a dog", "a face"]
    assert [one["target"] for one in said] == [11, 10, 10, 11]


def test_null_and_ungated_targets_have_no_say(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no target of A has a caption"):
        prompts(_parents(tmp_path), [_objective(0, 0, 0.5, 0.5)], TARGETS, CAPTIONS)


def test_nouns_are_those_that_captions_of_other_targets_do_not_name(tmp_path: Path) -> None:
    names = np.array([10, 11, 12, 13])
    artefact = _parents(tmp_path)["caption"]
    nouns = Nouns.read(artefact, names, pd.DataFrame({"target": [11, 10]}))
    assert nouns.standing_out(np.array([10])) == ["orange", "bus"]
    assert nouns.standing_out(np.array([11])) == ["room"]


def test_each_target_tells_its_noun_at_its_place(tmp_path: Path) -> None:
    parents = _parents(tmp_path)
    found = prompts(parents, [_objective(1, 0, 0, 0)], TARGETS, WORDS)["A"]
    assert found(7) == {"target": 10, "caption": "A picture of a city with an orange."}
    found = prompts(parents, [_objective(0, 1, 0, 0)], TARGETS, WORDS)["A"]
    assert found(7) == {"target": 11, "caption": "A picture of a room."}, "a place stands in none"


def test_where_all_captions_say_the_same_no_noun_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name nothing that those of other targets do not"):
        prompts(_parents(tmp_path), [_objective(1, 1, 0, 0)], TARGETS, WORDS)


class Listening(Gaussian):
    """Writes down how much the words weigh at each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[float] = []

    def condition(self, count: int, **_: object) -> Condition:
        return Condition(count, {}, {})

    def predict(self, latents, level, condition, guidance=1.0):  # type: ignore[no-untyped-def]
        self.heard.append(guidance)
        return super().predict(latents, level, condition)


def test_words_are_exaggerated_until_the_gradient_takes_over() -> None:
    generator = Listening()
    method = Primed(PrimedConfig(steps=10, start=0.4, every=2, scale=1.0))
    scene = Scene(generator, generator.reward, text=["a face"], guidance=2.0)
    drawn = method.draw(scene, [1])
    assert generator.heard == [2.0] * 4 + [1.0] * 6
    assert (drawn.norms[0] > 0).tolist() == [*[False] * 4, *[True, False] * 3]
    assert scene.account.network == 4 * 2 + 6, "two passes where words are exaggerated"


def test_primed_needs_a_step_for_its_words() -> None:
    with pytest.raises(ConfigError, match="no step is left for the words"):
        PrimedConfig(steps=10, start=0.05)


def test_captions_of_another_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another dataset"):
        prompts(_parents(tmp_path, prepare="q"), [_objective(1, 0, 0, 0)], TARGETS, CAPTIONS)


def test_without_captions_there_is_no_row() -> None:
    assert not len(told_table([{"file": "x", "objective": None, "seed": 0}]))


@pytest.mark.parametrize("method", [["captions"], ["primed", "guidance.start=0.5"]])
def test_the_stage_draws_each_picture_of_its_caption(
    tiny_data: Path, all_root: Path, monkeypatch: pytest.MonkeyPatch, method: list[str]
) -> None:
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> torch.Tensor:
        asked.append(list(texts))
        values = [[float(len(one) + n) for n in range(16)] for one in texts]
        return torch.nn.functional.normalize(torch.tensor(values), dim=1)

    space = SimpleNamespace(dim=16, encode_text=encode)
    monkeypatch.setattr("neuroattn.generators.loading.load", lambda *_: space)
    name, *more = method
    captions = [word.format(data=tiny_data) for word in EXTRA["caption"]]
    words("caption", tiny_data, all_root)  # writes the captions that these words name
    asks = ("guidance=" + name, *more, "guidance.said=captions", *captions,
            "synthesis.images=4", "synthesis.chunk=2",
            "caption.gate.measure=r_squared", "caption.gate.threshold=0", "caption.gate.q=1",
            "synthesis.evaluation.run=false")  # fmt: skip
    ran = neuroattn(*words("synthesize", tiny_data, all_root, *asks))
    assert ran.code == 0, ran.err
    made = Artefact(ran.path)
    assert set(made.inputs) == {"prepare", "encode", "caption"}
    told = made.table(TABLE)
    assert told["seed"].tolist() == [0, 1, 2, 3]
    assert {one for part in asked for one in part} == set(told["caption"])
    assert set(made.table("images.tsv")["method"]) == {name, "none"}
    assert made.json(f"images/early_sim-{name}-000000.json")["told"]["caption"] == asked[0][0]
