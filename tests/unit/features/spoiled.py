"""Files of weights as they come half copied, or from another class of model."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file


def without(file: Path, start: str) -> None:
    """Take the weights away whose names begin so; there must be some."""
    weights = load_file(file)
    kept = {name: value for name, value in weights.items() if not name.startswith(start)}
    assert 0 < len(kept) < len(weights)
    save_file(kept, file, metadata={"format": "pt"})
