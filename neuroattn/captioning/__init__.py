"""Voxel captions: what a target prefers, said in words."""
