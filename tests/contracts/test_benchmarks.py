"""Every benchmark runs at tiny size and says what it must; nothing here looks at a time."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.__main__ import NAMES, benchmark
from benchmarks.harness import Table, markdown, put, take_turns

FOLDER = Path(harness.__file__).parent
# Those whose tiny run starts further processes; their parts are covered by the stage's own tests.
OTHERS = ("store",)
COUNTED = ("synthesis_cost",)  # multiplications of one recipe against another: no time, no floor


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OTHERS])
def test_it_runs_at_tiny_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"benchmarks.{name}"
    if name in (
        "prepare",
        "ridge",
        "attention_step",
        "training_memory",
        "whole_brain",
        "projection",
    ):
        monkeypatch.setattr(f"{module}.peak_mib", lambda *_: 1.0)
    table = benchmark(name)(True)
    assert table.rows
    assert all(len(row) == len(table.columns) for row in table.rows)
    if name not in COUNTED:
        assert any("floor" in row[0] or "floor" in row[1] for row in table.rows)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_counts_the_cost_and_names_the_floor(name: str) -> None:
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or ""
    assert "floor" in text.lower()


def test_contenders_take_turns_and_warm_up() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = take_turns(contenders, turns=2, warmups=1)  # type: ignore[arg-type]
    assert calls == ["a", "b"] * 3
    assert set(seconds) == {"a", "b"}


def test_memory_of_a_call_is_seen_and_that_of_its_set_up_is_not() -> None:
    found = harness.peak_mib("tests.contracts.greedy:prepare", 8, 64)
    assert 60 < found < 72


def test_a_section_is_replaced_in_place(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Head\n\n<!-- bench:a -->\nold\n<!-- /bench:a -->\n\nTail\n")
    put("a", "new", page)
    put("b", "more", page)
    text = page.read_text()
    assert "old" not in text
    assert text.index("new") < text.index("Tail") < text.index("more")
    put("b", "again", page)
    assert page.read_text().count("<!-- bench:b -->") == 1


def test_a_section_names_command_machine_and_commit() -> None:
    table = Table("Title", ("what", "time"), [("ours", "1 s")], ("A note.",))
    text = markdown(table, "python -m benchmarks x")
    assert "| ours | 1 s |" in text
    assert "- A note." in text
    for word in ("`python -m benchmarks x`", "cores", "GiB", "commit"):
        assert word in text
