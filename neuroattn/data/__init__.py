"""Datasets: one module knows each layout on disk; all yield the same tables and blocks."""
