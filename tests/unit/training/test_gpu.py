from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from neuroattn.core.errors import InterruptedRunError
from neuroattn.training.loop import Runtime, fit
from neuroattn.training.registry import Precision

from .training_toy import ToyTask, final_state, toy_config, toy_data, toy_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]


@pytest.mark.parametrize("precision", list(Precision))
def test_a_stopped_run_resumes_to_the_same_bits_on_a_gpu(
    tmp_path: Path, precision: Precision
) -> None:
    def run(name: str, stop: int = 0) -> None:
        def at_step(call: int) -> None:
            if call == stop:
                signal.raise_signal(signal.SIGTERM)

        fit(
            toy_model(), ToyTask(at_step), toy_data(), toy_config(precision=precision),
            seed=1, folder=tmp_path / name, runtime=Runtime(device="cuda"),
        )  # fmt: skip

    run("whole")
    with pytest.raises(InterruptedRunError):
        run("parts", stop=10)
    run("parts")
    assert final_state(tmp_path / "parts") == final_state(tmp_path / "whole")
