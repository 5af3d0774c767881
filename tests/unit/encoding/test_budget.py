"""What a step needs, and what to do where there is less."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.encoding import budget
from neuroattn.encoding.attention import Architecture
from neuroattn.encoding.budget import Step, available, check_memory
from neuroattn.encoding.queries import Own, query_table
from neuroattn.encoding.registry import QueryKind

TARGETS = pd.DataFrame({"hemisphere": "lh", "rois": [f"R{index % 25}" for index in range(4000)]})
SIZES = Architecture(channels=768, dim=768, heads=16)


def test_weights_count_four_times_and_queries_of_targets_grow_with_them() -> None:
    """Weights, gradient, two moments of float32: 16 bytes each."""
    table = query_table(TARGETS, QueryKind.rois)
    regions = Step.of(SIZES, (31, 31), table, 4000)
    weights = 25 * 768 + 4 * 768**2 + 2 * 768 * 1024 + 4000 * 769 + 768
    assert regions.fixed == pytest.approx(16 * 1.1 * weights, rel=1e-3)
    own = Step.of(SIZES, (31, 31), Own(4000, table), 4000)
    more = (4000 - 25) * 768 * 16 + 2 * 4000 * 768 * 4
    assert own.fixed - regions.fixed == pytest.approx(1.1 * more, rel=1e-3)
    assert own.picture < 3 * regions.picture, "queries come in chunks"
    assert regions.bytes(8) == regions.fixed + 8 * regions.picture


def test_weights_that_cannot_fit_name_what_to_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available", lambda device: 1e9)
    with pytest.raises(ConfigError) as caught:
        check_memory(Step(fixed=4e9, picture=1e6), 16, "cpu")
    assert "25% of the targets" in str(caught.value)
    assert "4.0 GB" in str(caught.value)
    monkeypatch.setattr(budget, "available", lambda device: None)
    check_memory(Step(fixed=4e18, picture=1e6), 16, "cpu")


def test_a_container_may_have_less_than_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "GROUP", tmp_path)
    for name, text in (
        ("memory.max", "5000\n"),
        ("memory.current", "3000\n"),
        ("memory.stat", "anon 2000\ninactive_file 600\nactive_file 400\n"),
    ):
        (tmp_path / name).write_text(text)
    assert available("cpu") == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert available("cpu") != 3000
