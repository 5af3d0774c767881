from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError, StorageError
from neuroattn.synthesis.jobs import (
    DONE,
    FAILED,
    Chunk,
    Set,
    chunks,
    eight_bits,
    finished,
    gradient_facts,
    keep,
    memory_named,
    mine,
)
from neuroattn.synthesis.outcome import check_any, image_table, metrics, region_table
from neuroattn.synthesis.registry import SynthesisConfig
from neuroattn.synthesis.wishes import parse

WISH = parse("A - B")
GUIDED = Set("x0", "A - B", WISH.slug)
PICTURES = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)


def record(seed: int, value: float = 1.0, one: Set = GUIDED, **more: object) -> dict[str, object]:
    said = {"values": {"A - B": value}, "regions": {"A": value, "B": 0.0}}
    return {
        "file": f"images/{one.file(seed)}.png", "seed": seed, "method": one.method,
        "objective": one.objective, "chunk": [4, 5], "recipe": "r", "status": DONE, "problem": "",
        "guide": said, "judge": None, "passes": {}, **more,
    }  # fmt: skip


def failed(seed: int) -> dict[str, object]:
    return record(seed, status=FAILED, file="", problem="not finite", guide=None)


def test_a_chunk_is_its_seeds_whatever_else_is_asked_for() -> None:
    config = SynthesisConfig(images=7, chunk=3, first_seed=0)
    assert [chunk.seeds for chunk in chunks(config)] == [(0, 1, 2), (3, 4, 5), (6,)]
    later = SynthesisConfig(images=6, chunk=3, first_seed=3)
    assert chunks(later)[0] == chunks(config)[1]


def test_jobs_divide_the_chunks_and_none_is_lost() -> None:
    config = SynthesisConfig(images=20, chunk=3, shards=3, shard=0)
    whole = chunks(config)
    parts = [mine(whole, replace(config, shard=shard)) for shard in range(3)]
    assert sorted(chunk.number for part in parts for chunk in part) == list(range(len(whole)))
    assert mine(whole, SynthesisConfig(images=20, chunk=3)) == whole
    with pytest.raises(ConfigError, match="no such shard"):
        SynthesisConfig(shards=2, shard=2)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    keep(tmp_path / "c", GUIDED, [record(4), record(5)], list(PICTURES))
    return tmp_path / "c"


CHUNK = Chunk(2, (4, 5))


def test_a_whole_chunk_is_not_computed_again(kept: Path) -> None:
    records = finished(kept, GUIDED, CHUNK, "r")
    assert records is not None
    assert [one["seed"] for one in records] == [4, 5]


def test_a_picture_that_is_there_is_not_enough(kept: Path) -> None:
    file = kept / f"{GUIDED.file(5)}.png"
    content = file.read_bytes()
    for spoilt in (content[:-8], b""):
        file.write_bytes(spoilt)
        assert finished(kept, GUIDED, CHUNK, "r") is None
    file.unlink()
    assert finished(kept, GUIDED, CHUNK, "r") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_torn_record_is_no_record(kept: Path, text: str) -> None:
    (kept / f"{GUIDED.file(4)}.json").write_text(text)
    assert finished(kept, GUIDED, CHUNK, "r") is None


def test_pictures_of_another_recipe_or_chunk_are_not_taken_over(kept: Path) -> None:
    assert finished(kept, GUIDED, CHUNK, "another") is None
    assert finished(kept, GUIDED, Chunk(2, (4,)), "r") is None, "it was drawn beside another one"


def test_a_failed_picture_has_a_record_alone(tmp_path: Path) -> None:
    keep(tmp_path / "c", GUIDED, [record(4), failed(5)], list(PICTURES))
    assert finished(tmp_path / "c", GUIDED, CHUNK, "r") is not None
    assert len(list((tmp_path / "c").iterdir())) == 3


def test_what_is_selected_counts_what_failed() -> None:
    records = [record(seed, value) for seed, value in enumerate([3.0, 9.0, 5.0, 1.0])]
    records += [failed(4)]
    table = image_table(records, [WISH], 0.4)
    assert table["rank"].tolist()[:4] == [3, 1, 2, 4]
    assert table["selected"].tolist() == [False, True, True, False, False], "0.4 of 5 is 2"
    assert table["file"].isna().tolist() == [False] * 4 + [True]
    assert metrics(table, [WISH])["images.failed"] == 1
    assert metrics(table, [WISH])["objective.a-minus-b.guided.guide"] == 4.5


def test_unguided_pictures_stand_beside_every_objective() -> None:
    alone = Set("none", None, "")
    other = parse("B")
    both = {"values": {"A - B": 1.0, "B": 2.0}, "regions": {"A": 0.0}}
    records = [record(0, guide=both), record(0, one=alone, guide=both)]
    table = image_table(records, [WISH, other], 1.0)
    rows = table[["objective", "method", "guide_activation"]].to_numpy().tolist()
    assert rows == [["A - B", "x0", 1.0], ["A - B", "none", 1.0], ["B", "none", 2.0]]
    assert len(region_table(records)) == 2


def test_nothing_but_failures_is_an_error() -> None:
    with pytest.raises(DataError, match="every picture failed"):
        check_any([failed(0), record(0, one=Set("none", None, ""))], "guidance.scale")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
     RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")],
)  # fmt: skip
def test_where_memory_runs_out_the_setting_is_named(error: Exception) -> None:
    with pytest.raises(StorageError, match=r"synthesis.chunk=4"), memory_named(8):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="mat1"), memory_named(8):
        raise RuntimeError("mat1 and mat2 cannot be multiplied")


def test_pixels_are_rounded_once() -> None:
    pixels = torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 1.2]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    assert eight_bits(pixels)[0, 0, :, 0].tolist() == [0, 0, 1, 255]


def test_gradients_are_told_for_guided_steps_alone() -> None:
    facts = gradient_facts(torch.tensor([0.0, 3.0, 1.0, 2.0, 0.0]))
    assert facts == {"first": 3, "median": 2, "last": 2, "largest": 3, "steps": 3}
    assert gradient_facts(torch.zeros(3)) == {}
