"""What a process asks of its libraries: before they are loaded, and never over the user."""

from __future__ import annotations

import subprocess
import sys

import pytest

from neuroattn.core import process


def test_what_the_user_has_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in process.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    process.settle()
    assert {name: process.os.environ[name] for name in process.VARIABLES} == {
        **process.VARIABLES,
        "OMP_WAIT_POLICY": "ACTIVE",
    }


def test_it_is_said_before_torch_is_loaded() -> None:
    told = (
        "import sys, os; from neuroattn.core import process;"
        "assert not {'torch', 'numpy'} & set(sys.modules); process.settle();"
        "from neuroattn.cli import main; assert 'torch' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
