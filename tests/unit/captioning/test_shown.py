"""Captions drawn and shown: planted truth, what a stopped run keeps, and the stage itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from neuroattn.captioning.imagined import CAPTION, RANDOM, SHUFFLED, TOP
from neuroattn.captioning.registry import AnalysisConfig, CaptionConfig, ImaginedConfig
from neuroattn.captioning.shown import BY_TARGET, TABLE, Sight, show, surest
from neuroattn.captioning.told import Ground
from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.errors import ConfigError
from neuroattn.core.progress import Progress
from neuroattn.core.tables import read_tsv
from neuroattn.generators.places import text_leaves
from neuroattn.generators.registry import FolderGeneratorConfig
from neuroattn.pipeline.plan import plan
from tests.chain import config, neuroattn, words
from tests.unit.captioning.speaker import saved, untrained
from tests.unit.generators.test_clip import folder  # noqa: F401 - a fixture

WORDS = ("red", "green", "blue")
TARGETS = 9  # a third of them for each colour; half of the test images are of the second subject
OPTIONS = CaptionConfig(
    imagined=ImaginedConfig(targets=TARGETS, pictures=2, batch=4),
    analysis=AnalysisConfig(deals=5, draws=50),
)


def natural_images() -> np.ndarray:
    """Pictures (30, 4, 4, 3) of one colour each, of any strength."""
    rng = np.random.default_rng(0)
    colour = np.eye(3)[np.arange(30) % 3] * rng.uniform(100, 255, size=(30, 1))
    return np.broadcast_to(colour[:, None, None], (30, 4, 4, 3)).astype(np.uint8)


def encoder(pixels: Tensor) -> Tensor:
    """Targets want red, green and blue in turn."""
    return pixels.mean(dim=(2, 3)).repeat(1, TARGETS // 3)


class Space:
    """Embeddings are mean colours."""

    def encode_image(self, pixels: Tensor) -> Tensor:
        return torch.nn.functional.normalize(pixels.mean(dim=(2, 3)), dim=1)


def ground(place: Path) -> Ground:
    """Measured responses that follow the planted colours, two subjects."""
    subject = ["s1"] * 6 + ["s2"] * 3
    table = pd.DataFrame({"target": np.arange(TARGETS) + 100, "subject": subject})
    pixels = torch.from_numpy(natural_images()).permute(0, 3, 1, 2) / 255
    predicted = encoder(pixels).numpy()
    predicted[15:, 6:] = np.nan  # the second subject saw half of them
    noise = np.random.default_rng(1).normal(size=predicted.shape)
    with h5py.File(place / "predictions.h5", "w") as file:
        file["test/fold"], file["test/image"] = np.zeros(30, int), np.arange(30)
        file["test/predicted"], file["test/measured"] = predicted, predicted + 0.1 * noise
    encode = SimpleNamespace(hdf5=lambda name: h5py.File(place / name))
    return Ground(encode, SimpleNamespace(targets=table), 0)  # type: ignore[arg-type]


def chosen(order: Sequence[int] = range(TARGETS)) -> pd.DataFrame:
    """Target n is said to want the colour of ``order[n]``."""
    said = [f"A {WORDS[n % 3]} thing." for n in order]
    return pd.DataFrame({"target": range(TARGETS), "caption": said})


def paint(captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
    colours = torch.tensor([[float(word in one) for word in WORDS] for one in captions])
    noise = torch.tensor(seeds).remainder(97)[:, None] / 970
    return (0.9 * colours + noise).clamp(0, 1)[:, :, None, None].expand(-1, -1, 4, 4)


def shown(place: Path, told: pd.DataFrame, painter: Any = lambda: paint, space: Any = None) -> Any:
    """Metrics of `show`; tables are in ``place``."""
    images = natural_images()
    sight = Sight(painter=painter, encoder=encoder, space=space, picture=images.__getitem__)
    place.mkdir(exist_ok=True)
    with Progress("pictures", 3) as progress:
        return show(
            ArtefactWriter(place), told, ground(place), sight, OPTIONS, seed=0, progress=progress
        )


def test_true_captions_drive_their_targets_and_permuted_ones_do_not(tmp_path: Path) -> None:
    true = shown(tmp_path / "true", chosen(), space=Space())
    wrong = shown(tmp_path / "wrong", chosen([n + 1 for n in range(TARGETS)]), space=Space())
    assert true["imagined.targets"] == TARGETS
    assert true["verified.image.low"] > 0.5 > true["verified.image.shuffled.high"]
    assert true["imagined.over_random.low"] > max(0, wrong["imagined.over_random.high"])
    assert wrong["verified.image"] < 0 < true["verified.image.difference.low"]
    table = read_tsv(tmp_path / "true" / TABLE)
    assert set(table["set"]) == {CAPTION, SHUFFLED, TOP, RANDOM}
    assert table["n"].unique().tolist() == [TARGETS]
    verified = read_tsv(tmp_path / "true" / "verified.tsv")
    assert verified.groupby("subject")["n_images"].first().to_dict() == {"s1": 30, "s2": 15}
    each = read_tsv(tmp_path / "true" / BY_TARGET)
    assert each["target"].unique().tolist() == list(range(100, 100 + TARGETS))
    own = each[each["set"] == CAPTION]
    assert own["caption"].tolist() == chosen()["caption"].tolist()


def test_a_stopped_run_draws_on_and_writes_the_same(tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def stopping(captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
        calls.append(list(captions))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return paint(captions, seeds)

    shown(tmp_path / "whole", chosen(), space=Space())
    with pytest.raises(KeyboardInterrupt):
        shown(tmp_path / "stopped", chosen(), lambda: stopping, Space())
    shown(tmp_path / "stopped", chosen(), lambda: stopping, Space())
    assert calls[2:] == calls[1:2], "what was drawn is not drawn again"
    shown(tmp_path / "stopped", chosen(), lambda: pytest.fail("nothing is left"), Space())
    for name in (TABLE, BY_TARGET, "verified.tsv"):
        assert (tmp_path / "stopped" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_without_a_space_there_is_no_image_level(tmp_path: Path) -> None:
    found = shown(tmp_path / "one", chosen())
    assert found["imagined.over_random"] > 0
    assert not [name for name in found if name.startswith("verified")]
    assert shown(tmp_path / "none", chosen().head(0)) == {"imagined.targets": 0.0}


def test_the_surest_are_gated_and_no_nulls() -> None:
    frame = pd.DataFrame(
        {
            "target": [0, 0, 1, 2, 3, 1],
            "caption": ["a", "b", "c", "d", "", "null"],
            "confidence": [0.2, 0.9, 0.5, 0.5, np.nan, 1.0],
            "gated": [True, True, True, True, False, True],
            "null": [False, False, False, False, False, True],
        }
    )
    assert surest(frame, 2)["caption"].tolist() == ["c", "d"]
    assert surest(frame, 9)["caption"].tolist() == ["c", "d", "a"], "the first of a target's"


def test_a_generator_that_takes_no_text_is_refused(tmp_path: Path) -> None:
    kind = '{"_class_name": "StableDiffusionImageVariationPipeline"}'
    (tmp_path / "model_index.json").write_text(kind)
    with pytest.raises(ConfigError, match="takes no text"):
        text_leaves(FolderGeneratorConfig(model=str(tmp_path)))


def test_families_without_text_are_those_that_a_plan_refuses() -> None:
    from neuroattn.generators.families.opening import FAMILIES
    from neuroattn.generators.places import IMAGE_DRIVEN

    assert {name for name, family in FAMILIES.items() if family.texts is None} == set(IMAGE_DRIVEN)


def test_the_generator_names_the_captions_only_where_it_draws(
    tiny_data: Path, tmp_path: Path
) -> None:
    def digest(targets: int, size: int | None) -> str:
        made = config("caption", tiny_data, tmp_path)
        made.caption.imagined.targets, made.generator.size = targets, size
        return plan("caption", made).fingerprint.digest

    assert digest(0, None) == digest(0, 128)
    assert len({digest(0, None), digest(2, None), digest(2, 128)}) == 3


def test_the_stage_draws_captions_and_the_report_shows_it(
    tiny_data: Path,
    tmp_path: Path,
    folder: Path,  # noqa: F811
) -> None:
    from neuroattn.generators.loading import load

    dim = load(folder).dim
    speaker = saved(untrained(dim, ["a cat"], width=8), tmp_path / "captioner", dim)
    space = (
        "backbone=space", f"backbone.model={folder}", "backbone.image_size=32",
        "backbone.layers=[pooled]", "encoder=linear_cls", "captioner=prefix_lm",
        f"captioner.model={speaker}", "captioner.length=6", "caption.draws=2", "caption.nulls=0",
        "caption.gate.threshold=0", "caption.gate.q=1", "caption.gate.min_ceiling=0",
        "caption.imagined.targets=2", "caption.imagined.pictures=2", "caption.imagined.steps=1",
    )  # fmt: skip
    ran = neuroattn(*words("caption", tiny_data, tmp_path / "root", *space))
    assert ran.code == 0, ran.err
    made = Artefact(ran.path)
    assert set(made.table(TABLE)["set"]) == {CAPTION, SHUFFLED, TOP, RANDOM}
    assert made.metrics["imagined.targets"] == 2
    assert np.isfinite([made.metrics["verified.image"], made.metrics["imagined.over_random"]]).all()
    assert set(made.table("verified.tsv")["measure"]) == {"image"}, "nobody described test images"
    report = neuroattn(
        *words("report", tiny_data, tmp_path / "root", "report.stages=[caption]", *space)
    )
    assert report.code == 0, report.err
    page = (report.path / "report.html").read_text()
    assert "Pictures from captions" in page
    assert "embedded (2 pictures each, 1 steps" in page
