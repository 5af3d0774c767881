"""Manifests: what files a dataset has, how to get them, and whether a copy of it is sound."""
