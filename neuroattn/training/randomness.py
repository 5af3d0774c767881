"""State of the global random streams, as tensors and plain values that load without pickle."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from neuroattn.core.seeding import derive_seed

State = dict[str, Any]


def capture(device: torch.device) -> State:
    """State of the streams of Python, NumPy, torch on the CPU and torch on ``device``."""
    version, words, gauss = random.getstate()
    numpy: Any = np.random.get_state(legacy=False)  # noqa: NPY002
    state: State = {
        "python": {"version": version, "words": torch.tensor(words), "gauss": gauss},
        "numpy": {
            "key": torch.from_numpy(numpy["state"]["key"].astype(np.int64)),
            "pos": int(numpy["state"]["pos"]),
            "has_gauss": int(numpy["has_gauss"]),
            "gauss": float(numpy["gauss"]),
        },
        "torch": torch.get_rng_state(),
    }
    if device.type != "cpu":
        state[device.type] = torch.get_device_module(device).get_rng_state()
    return state


def restore(state: State, device: torch.device) -> bool:
    """Bring back what `capture` gave; False where the device's own stream was not captured."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    key = numpy["key"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, numpy["pos"], numpy["has_gauss"], numpy["gauss"]))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if device.type == "cpu":
        return True
    if device.type not in state:
        return False
    torch.get_device_module(device).set_rng_state(state[device.type].cpu())
    return True


def seed_streams(seed: int, *names: str | int) -> None:
    """Seed every global stream for the consumer called ``names``."""
    random.seed(derive_seed(seed, *names, "python"))
    np.random.seed(derive_seed(seed, *names, "numpy") % 2**32)  # noqa: NPY002
    torch.manual_seed(derive_seed(seed, *names, "torch"))


@contextmanager
def isolated_streams(device: torch.device) -> Iterator[None]:
    """Give the caller its random streams back as they were."""
    before = capture(device)
    try:
        yield
    finally:
        restore(before, device)
