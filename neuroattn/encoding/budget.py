"""What a training step of the transformer readout needs in memory, known before it begins.

Counted are float32 tables that exist at once: weights with their gradients and two moments, tokens
as read and standardised, keys and values with gradients, attention weights where they are kept,
what queries read, and predictions. Small tables and the allocator's own needs are left to a margin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.attention import Architecture, folds
from neuroattn.encoding.attention_encoder import CHUNK
from neuroattn.encoding.queries import Asked, Own
from neuroattn.encoding.registry import Mix
from neuroattn.features.backbones import choose_device

FLOAT = 4  # bytes
MARGIN = 1.1
GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Step:
    """Bytes of a training step: a fixed part, and one that grows with each picture of the batch."""

    fixed: float
    picture: float

    @classmethod
    def of(cls, sizes: Architecture, grid: tuple[int, int], asked: Asked, targets: int) -> Step:
        """The needs of a transformer readout on tokens of this grid."""
        tokens, dim = grid[0] * grid[1], sizes.dim
        own = isinstance(asked, Own)
        queries = targets if own else len(asked.names)
        channels = sum(sizes.layers) or sizes.channels
        layers = len(sizes.layers) if sizes.mix is Mix.per_target else 1
        weights = queries * dim + sizes.depth * (4 * dim**2 + 2 * dim * sizes.hidden)
        weights += targets * (dim + 1) + (channels * dim if channels != dim else 0)
        # Gradients of chunks are put together into one table, so both exist for a moment.
        together = (queries + targets) * dim * FLOAT * MARGIN if own else 0.0
        at_once = min(queries, CHUNK) if own else queries
        folded = folds(dim, sizes.heads, queries, tokens)
        looks = sizes.heads * at_once * (tokens + dim) if folded else 0
        memories = (sizes.depth - folded) * 4 * tokens * dim
        read = sizes.depth * at_once * (8 * dim + 3 * sizes.hidden)
        inside = 3 * tokens * channels + layers * (looks + memories + read + 4 * targets)
        return cls(fixed=weights * 4 * FLOAT * MARGIN + together, picture=inside * FLOAT * MARGIN)

    def bytes(self, batch: int) -> float:
        """What a batch of so many pictures needs."""
        return self.fixed + batch * self.picture


def available(device: str) -> float | None:
    """Bytes that are free on a device; None where nobody can say."""
    chosen = choose_device(device)
    if chosen.type == "cuda":
        return float(torch.cuda.mem_get_info(chosen)[0])
    if chosen.type != "cpu":
        return None
    found = [value for value in (_machine(), _group()) if value is not None]
    return min(found) if found else None


def check_memory(step: Step, batch: int, device: str) -> None:
    """Refuse a step that needs more memory than there is.

    Raises
    ------
    ConfigError : with the setting that fits.
    """
    free = available(device)
    if free is None or step.bytes(batch) <= free:
        return
    fits = int((free - step.fixed) // step.picture)
    if fits >= 1:
        fix = f"set encoder.training.batch_size={fits} (encoder.training.accumulate steps for more)"
    else:
        share = max(free / (step.fixed + step.picture), 0.01)
        fix = (
            f"take {share:.0%} of the targets with dataset.mask or dataset.rois, or fewer channels"
            " with encoder.components and encoder.dim"
        )
    raise ConfigError(
        "a training step needs more memory than there is",
        expected=f"{_said(step.bytes(batch))} for pictures in batches of {batch}",
        found=f"{_said(free)} free",
        fix=fix,
    )


def _said(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _machine() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return None


def _group() -> float | None:
    """What the limit of a container leaves; cached files count as free."""
    try:
        limit = (GROUP / "memory.max").read_text().strip()
        used = float((GROUP / "memory.current").read_text())
        lines = [line.split() for line in (GROUP / "memory.stat").read_text().splitlines()]
    except OSError:
        return None
    cached = sum(float(size) for name, size in lines if name in ("inactive_file", "active_file"))
    return float(limit) - used + cached if limit.isdigit() else None
