"""Whole-brain contrastive decoders: pictures from brain activity."""
