"""What a process of ours asks of its libraries before they are loaded."""

from __future__ import annotations

import os
from typing import Final

#: Variables that numpy and torch read when they are loaded; what the user has set stands.
VARIABLES: Final = {
    # Threads that spin while they wait make every small product ten times slower on a machine
    # where other processes want the cores.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Tensors of 2 MiB and more lie in pages of 2 MiB where Linux allows it (`madvise`). A step
    # that makes its gradients anew asks for thirty thousand small pages, and each one is cleared.
    "THP_MEM_ALLOC_ENABLE": "1",
}


def settle() -> None:
    """Set `VARIABLES`. It must stand before numpy or torch is loaded."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
