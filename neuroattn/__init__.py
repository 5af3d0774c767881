"""Image-to-brain encoders, decoders, synthesis and captions on NSD-style fMRI, as one pipeline."""

from __future__ import annotations

from typing import Any

__all__ = ["load_encoder"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line must start without torch.
    if name == "load_encoder":
        from neuroattn.encoding.encoder import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
