"""Whole-brain contrastive decoders: images from brain activity, with the uncertainty-aware blur prior."""
