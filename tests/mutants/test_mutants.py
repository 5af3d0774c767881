"""Each bug, put into a copy of the package, makes the test named for it fail by an assertion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.patches import ASSERTIONS, Mutant, apply, copy_tree, mutants, run_tests

pytestmark = pytest.mark.slow

MUTANTS = mutants()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Tests, named by any mutant, that pass on the package as it is."""
    folder = copy_tree(tmp_path_factory.mktemp("sound"))
    found = run_tests(folder, sorted({mutant.test for mutant in MUTANTS}))
    failed = [case for case in found["outcomes"] if case["outcome"] == "failed"]
    assert not failed, found["output"]
    passed = (case["test"] for case in found["outcomes"] if case["outcome"] == "passed")
    return {test.partition("[")[0] for test in passed}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_bug_is_caught(mutant: Mutant, sound: set[str], tmp_path: Path) -> None:
    assert mutant.test in sound, "the named test was skipped, so it proves nothing"
    folder = copy_tree(tmp_path / "copy")
    refusal = apply(mutant, folder)
    assert not refusal, refusal
    found = run_tests(folder, [mutant.test])
    failed = [case for case in found["outcomes"] if case["outcome"] == "failed"]
    assert failed, f"survived: {mutant.bug}\n{found['output']}"
    for case in failed:
        assert case["when"] == "call", found["output"]
        assert case["error"] in ASSERTIONS, f"failed by {case['error']}\n{found['output']}"
