"""Every mutant still applies to the source as it is, and names a test that exists."""

from __future__ import annotations

import ast
import shutil
from functools import cache

import pytest

from tests.mutants.patches import REPOSITORY, Mutant, apply, mutants

MUTANTS = mutants()


@cache
def _functions(file: str) -> set[str]:
    tree = ast.parse((REPOSITORY / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_there_are_mutants_and_no_two_are_the_same() -> None:
    assert len(MUTANTS) >= 30
    bodies = ["\n".join(mutant.file.read_text().splitlines()[3:]) for mutant in MUTANTS]
    assert len(set(bodies)) == len(bodies)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_patch_applies(mutant: Mutant) -> None:
    refusal = apply(mutant, REPOSITORY, "--check")
    assert not refusal, f"{mutant.file.name}: make it anew (tests/mutants/README.md)\n{refusal}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_named_test_exists(mutant: Mutant) -> None:
    file, _, name = mutant.test.partition("::")
    assert name.split("::")[-1] in _functions(file)
    assert mutant.bug
    assert mutant.origin


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_changes_the_package_and_no_test(mutant: Mutant) -> None:
    lines = mutant.file.read_text().splitlines()
    changed = [line[6:] for line in lines if line.startswith("+++ b/")]
    assert changed
    assert all(name.startswith(("neuroattn/", "conf/")) for name in changed)
