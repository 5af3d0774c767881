"""Imagined trials of the simulator: what is planted is decoded, and where nothing is, nothing.

Pencil: a target at NSD's median ncsnr of .49 has noise of 2.04 times its signal, 0.51 after
sixteen imagined trials, beside half of the signal: a mean of sixteen imagined trials is what a mean
of three seen ones is. So set B (scenes) must be found. The pictures of set A (bars and crosses)
hold nothing that late targets answer to, and early ones answer to nothing imagined: its pairings
carry nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kstest

from neuroattn.data.simulate import imagery as simulated
from neuroattn.data.simulate import rules
from neuroattn.data.simulate.experiments import Shown, pattern
from neuroattn.decoding import imagery
from neuroattn.decoding.ablation_schemas import ImageryConfig
from neuroattn.decoding.decoder_schemas import Average
from neuroattn.stats.retrieval import DIRECTIONS, IMAGE_FROM_BRAIN, cosine_similarity
from tests.unit.data.simulate.plain_scenes import plain_scene

Array = np.ndarray[Any, Any]
TRAINING, SHOWN, EACH, EARLY = 300, 3, 24, 40
CARRIED = ("face", "body", "word", "place", "animal", "vehicle")
NOISE = 1 / 0.49  # of a trial, over the signal


class Subject:
    """Targets that follow the simulator's rules, and a ridge decoder fitted to what was seen."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.scenes = [plain_scene(number) for number in range(TRAINING)]
        contents = rules.contents(self.scenes)
        self.weights = {
            name: rng.normal(size=(contents[name].attributes.shape[1], EACH)) for name in CARRIED
        }
        self.fields = rng.normal(size=(12, EARLY))
        seen, self.space = self.answers(self.scenes), self.embedded(self.scenes)
        measured = seen + NOISE / SHOWN**0.5 * rng.normal(size=seen.shape)
        self.mean, self.sd = measured.mean(0), measured.std(0)
        inputs = (measured - self.mean) / self.sd
        gram = inputs.T @ inputs + TRAINING * np.eye(inputs.shape[1])
        self.weight = np.linalg.solve(gram, inputs.T @ (self.space - self.space.mean(0)))

    def answers(self, scenes: list[Any]) -> Array:
        """Noiseless responses (scenes, targets) in units of the training scenes; early last."""
        contents = rules.contents([*self.scenes, *scenes])
        late = [
            rules.late_signal(contents[name], self.weights[name], TRAINING)[TRAINING:]
            for name in CARRIED
        ]
        early = rules.standardise(self._pixels(scenes) @ self.fields, TRAINING)[TRAINING:]
        return np.hstack([*late, early])

    def embedded(self, scenes: list[Any]) -> Array:
        """A space of pictures (scenes, dim): what is in them, how it looks, and coarse pixels."""
        contents = rules.contents([*self.scenes, *scenes])
        parts = [rules.late_parts(content, TRAINING) for content in contents.values()]
        blocks = [np.column_stack([2 * there, looks])[TRAINING:] for there, looks in parts]
        return np.hstack([*blocks, rules.standardise(self._pixels(scenes), TRAINING)[TRAINING:]])

    def _pixels(self, scenes: list[Any]) -> Array:
        pictures = np.stack([scene.pixels for scene in [*self.scenes, *scenes]]) / 255
        half = pictures.shape[1] // 2
        quarters = pictures.reshape(len(pictures), 2, half, 2, half, 3).mean(axis=(2, 4))
        return np.asarray(quarters.reshape(len(pictures), -1))

    def loaded(self) -> Any:
        """What the stage loads, as far as it decodes with it."""
        side = SimpleNamespace(input=SimpleNamespace(columns=None))
        return SimpleNamespace(
            sides=[side],
            embed=lambda _number, standardised: standardised @ self.weight,
            config=SimpleNamespace(evaluation=SimpleNamespace(average=Average.responses)),
        )


@cache
def subject() -> Subject:
    return Subject()


@cache
def pictures() -> simulated.Targets:
    """Set A as it is simulated, and six scenes for set B."""
    bars = [simulated._simple(kind, turn, 32) for kind, turn in simulated._BARS]
    scenes = [plain_scene(number) for number in range(TRAINING, TRAINING + 6)]
    sets = {
        "A": [Shown(bar.name, bar.pixels, _bare(bar)) for bar in bars],
        "B": [Shown(f"scene-{k}.png", scene.pixels, scene) for k, scene in enumerate(scenes)],
    }
    idea = {
        (letter, cue): shown
        for letter, six in sets.items()
        for cue, shown in zip(simulated.CUES[letter], six, strict=True)
    }
    return simulated.Targets({}, {key: (shown,) for key, shown in idea.items()}, idea)


def _bare(bar: Shown) -> Any:
    return replace(pattern(), pixels=bar.pixels)


@cache
def planted(letter: str) -> tuple[Array, Array]:
    """Noiseless responses (trials, targets) to what is imagined of a set, and the image of each."""
    found = pictures()
    events = [
        event for event in simulated.events(0)
        if event.part == "imagined" and event.run[3] == letter
    ]  # fmt: skip
    late = np.arange(len(CARRIED) * EACH + EARLY) < len(CARRIED) * EACH
    signal = simulated.responses(
        events, found, lambda shown: subject().answers([one.scene for one in shown]), late
    )
    image = np.array([simulated.CUES[letter].index(event.condition) for event in events])
    return signal, image


@cache
def gallery(letter: str) -> Array:
    """Embeddings of the six pictures of a set."""
    six = [pictures().idea[letter, cue].scene for cue in simulated.CUES[letter]]
    return subject().embedded(six)


def outcome(letter: str, seed: int, draws: int) -> dict[tuple[str, str], Any]:
    """The stage's tests of one set's pairings, with new noise for each seed."""
    signal, image = planted(letter)
    rng = np.random.default_rng(seed)
    responses = signal + NOISE * rng.normal(size=signal.shape)
    prepared: Any = SimpleNamespace(
        responses=lambda _rows, _columns: responses.astype(np.float32),
        trials=pd.DataFrame({"image": image}),
    )
    options = ImageryConfig(permutations=draws)
    brains, ids, trials = imagery.decode(subject().loaded(), 0, prepared, options)
    assert trials.tolist() == [16] * 6
    wanted = gallery(letter)[ids]
    matrix = cosine_similarity(brains, wanted, (brains.mean(0), wanted.mean(0)))
    return imagery.tests_of(matrix, np.arange(6), draws=draws, seed=seed)


def test_planted_scenes_are_decoded_without_a_trial_of_imagery_in_training() -> None:
    signal, _ = planted("B")
    assert signal[:, : len(CARRIED) * EACH].std() > 0.2
    assert not signal[:, len(CARRIED) * EACH :].any(), "early targets answer to nothing imagined"
    found = outcome("B", seed=0, draws=2000)
    assert found[IMAGE_FROM_BRAIN, "margin"].p < 0.01  # 1 in 720 pairings is the true one
    assert found[IMAGE_FROM_BRAIN, "margin"].observed > 0.3
    for direction in DIRECTIONS:
        assert found[direction, "percentile"].p < 0.05
        assert found[direction, "percentile"].observed > 0.8


def test_pairings_that_carry_nothing_are_not_found() -> None:
    signal, image = planted("A")
    assert len(set(image.tolist())) == 6
    assert np.ptp(signal, axis=0).max() < 1e-6, "all bars are imagined alike"
    p = [outcome("A", seed=run, draws=99)[IMAGE_FROM_BRAIN, "margin"].p for run in range(120)]
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) < 0.11
