"""Readouts from features to responses, their evaluation, and the stage ``encode``."""
