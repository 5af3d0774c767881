"""Side-by-side measurements: ours, a peer and the floor, in one run, as ratios.

``python -m benchmarks [NAME ...]`` runs them; `benchmarks.harness` says how. None is a test: a
busy machine changes times, so only `tests/contracts` runs their set-up, at tiny size.
"""
