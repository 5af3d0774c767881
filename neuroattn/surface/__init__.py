"""Meshes of the cortex: geometry, coordinates and neighbourhoods, without torch."""
