"""How long the command line takes to speak: ``--help`` and ``--cfg job``.

No bytes and no operations to speak of: the cost is imports. The floors are Python itself and
``import hydra``, without which no config is composed; ``import torch`` stands there to show what
it would cost if any of it leaked into the command line's path. Limits of the contract: help
within 1 s, a config within 3 s.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

from benchmarks.harness import Table, milliseconds, take_turns

COMMANDS = {
    "neuroattn --help": ["-m", "neuroattn.cli.main", "--help"],
    "neuroattn encode --cfg job": ["-m", "neuroattn.cli.main", "encode", "--cfg", "job"],
    "a misspelt key": ["-m", "neuroattn.cli.main", "encode", "encoder.alfa=1"],
    "floor: python, nothing": ["-c", "pass"],
    "floor: import numpy, hydra": ["-c", "import numpy, hydra"],
    "for comparison: import torch": ["-c", "import torch"],
}


def run(tiny: bool) -> Table:
    """Time every command in a process of its own."""
    cheapest = "floor: python, nothing"
    commands = {cheapest: COMMANDS[cheapest]} if tiny else COMMANDS
    contenders: dict[str, Callable[[], object]] = {
        name: partial(subprocess.run, [sys.executable, *words], capture_output=True, check=False)
        for name, words in commands.items()
    }
    seconds = take_turns(contenders, 1 if tiny else 7)
    return Table(
        title="Start of the command line",
        columns=("command", "median time"),
        rows=[(name, milliseconds(value)) for name, value in seconds.items()],
        notes=("Files are in the page cache; 7 turns. Limits: help 1 s, config and mistakes 3 s.",),
    )
