"""What a process asks of its libraries: before they are loaded, and never over the user."""

from __future__ import annotations

import subprocess
import sys

import pytest

from neuroattn.core import process


def test_what_the_user_has_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"OMP_WAIT_POLICY": "ACTIVE"}
    monkeypatch.setattr(process.os, "environ", there)
    process.settle()
    assert there == {**process.VARIABLES, "OMP_WAIT_POLICY": "ACTIVE"}


def test_it_is_said_before_torch_is_loaded() -> None:
    told = (
        "import sys, os; from neuroattn.core import process;"
        "assert not {'torch', 'numpy'} & set(sys.modules); process.settle();"
        "from neuroattn.cli import main; assert 'torch' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
