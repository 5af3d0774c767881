"""Generative and image-text models: the embedded ones, and real ones from folders."""

from neuroattn.generators.loading import load

__all__ = ["load"]
