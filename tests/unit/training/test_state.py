from __future__ import annotations

import json

from neuroattn.training.registry import StoppingConfig
from neuroattn.training.sampler import Position
from neuroattn.training.selection import Selector
from neuroattn.training.state import Best, RunState


def test_a_run_survives_json_with_every_bit() -> None:
    state = RunState(
        Selector(StoppingConfig(), best=1 / 3, waited=2),
        position=Position(3, 4),
        step=17,
        losses=[0.1, 1e-300],
        norms=[2 / 3],
        epoch_loss=0.1 + 0.2,
        epoch_steps=3,
        best=Best(step=9, epoch=2, value=1 / 3),
        history=[{"epoch": 1.0, "selection.loss": 1 / 7}],
        finished=True,
    )
    other = RunState(Selector(StoppingConfig()))
    other.load_state_dict(json.loads(json.dumps(state.state_dict())))
    assert other == state
    assert set(state.state_dict()) == set(vars(state))
