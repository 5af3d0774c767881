from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info

from neuroattn.core.errors import NeuroattnError
from neuroattn.data import stage as prepare
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.threads import VARIABLES, limited_threads
from tests.chain import config


def _blas() -> set[int]:
    return {int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_torch_blas_and_later_libraries_obey_for_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before, blas = torch.get_num_threads(), _blas()
    with limited_threads(2):
        assert torch.get_num_threads() == 2
        assert _blas() <= {1, 2}
        assert {os.environ[name] for name in VARIABLES} == {"2"}
    assert torch.get_num_threads() == before
    assert _blas() == blas
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_failure_gives_them_back_too() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), limited_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_none_leaves_them_alone() -> None:
    before = torch.get_num_threads()
    with limited_threads(None):
        assert torch.get_num_threads() == before


def test_a_stage_runs_under_its_number(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def look(_context: object) -> None:
        seen.append(torch.get_num_threads())
        raise NeuroattnError("enough")

    monkeypatch.setattr(prepare, "run", look)
    made = config("prepare", tiny_data, tmp_path)
    made.runtime.threads = 3
    with pytest.raises(NeuroattnError, match="enough"):
        run_stage("prepare", made)
    assert seen == [3]
