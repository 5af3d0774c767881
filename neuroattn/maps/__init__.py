"""Cortical maps from artefacts: files for other programs, and pictures."""
