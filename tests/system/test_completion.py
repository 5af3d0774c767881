"""Completion in a real bash: what the Tab key offers behind a few lines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from neuroattn.encoding.registry import ENCODERS
from tests.system.command import PROGRAM, run

pytestmark = pytest.mark.system

# What readline does: it looks up the function bound to the command, and calls it.
SCRIPT = r"""
export PATH="{bin}:$PATH"
eval "$(neuroattn -sc install=bash)"
bound=$(complete -p neuroattn) || exit 3
[[ "$bound" =~ -F\ ([^ ]+) ]] || exit 4
press_tab() {{
    COMP_LINE=$1 COMP_POINT=${{#1}} COMP_WORDS=() COMPREPLY=()
    read -ra COMP_WORDS <<<"$1"
    [[ $1 == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    "${{BASH_REMATCH[1]}}" neuroattn "${{COMP_WORDS[COMP_CWORD]}}" ""
    echo "${{COMPREPLY[*]-}}"
}}
cd "{folder}"
press_tab "$1"
"""


PressTab = Callable[[str], list[str]]


@pytest.fixture
def press_tab(tmp_path: Path) -> PressTab:
    """Words that bash offers behind a line."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    script = SCRIPT.format(bin=Path(PROGRAM).parent, folder=tmp_path)

    def press(line: str) -> list[str]:
        ran = run([bash, "--norc", "-c", script, "bash", line], folder=tmp_path)
        assert ran.code == 0, ran.err
        assert ran.err == ""
        return ran.out.split()

    return press


def test_first_word_offers_stages_and_verbs(press_tab: PressTab) -> None:
    offered = press_tab("neuroattn ")
    assert {"prepare", "features", "encode", "report"} <= set(offered)
    assert {"run", "demo", "data", "doctor"} <= set(offered)


def test_part_of_a_first_word(press_tab: PressTab) -> None:
    assert press_tab("neuroattn enc") == ["encode"]


def test_choices_of_a_group(press_tab: PressTab) -> None:
    choices = [f"encoder={name}" for name in sorted(ENCODERS)]
    assert press_tab("neuroattn encode encoder=") == choices


def test_keys_of_a_section(press_tab: PressTab) -> None:
    offered = press_tab("neuroattn encode dataset.split.")
    assert {"dataset.split.kind=", "dataset.split.folds=", "dataset.split.seed="} <= set(offered)


def test_keys_behind_other_overrides(press_tab: PressTab) -> None:
    assert press_tab("neuroattn encode encoder=ridge encoder.n_al") == ["encoder.n_alphas="]


def test_launchers(press_tab: PressTab) -> None:
    offered = press_tab("neuroattn encode -m hydra/launcher=submitit")
    assert set(offered) == {"hydra/launcher=submitit_local", "hydra/launcher=submitit_slurm"}


def test_recipes_behind_run(press_tab: PressTab) -> None:
    assert press_tab("neuroattn run de") == ["demo"]


def test_nothing_of_ours_behind_other_verbs(press_tab: PressTab) -> None:
    assert press_tab("neuroattn doctor ") == []


def test_stages_behind_plan(press_tab: PressTab) -> None:
    assert {"prepare", "encode"} <= set(press_tab("neuroattn plan "))
