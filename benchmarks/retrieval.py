"""Retrieval tests: look-ups in one matrix against building the similarities anew for each draw.

For n images of d dimensions one similarity costs 2 n^2 d operations. Everything after it reads
that matrix: ranks of all possible pairs are two sorts of n x n (n^2 log2 n comparisons each), a
permutation is n look-ups a direction, a draw of w images copies w^2 numbers. The floor is one
sort of all rows of the matrix, since no rank is known without it. The rival embeds and multiplies
again for every draw and every permutation, as published evaluation code does.
"""

from __future__ import annotations

import numpy as np

from benchmarks.harness import Table, milliseconds, ratio, take_turns
from neuroattn.stats.retrieval import (
    IMAGE_FROM_BRAIN,
    cosine_similarity,
    draws_of,
    permutation_tests,
    ranks,
)


def run(tiny: bool) -> Table:
    """Time tests and draws of one subject, after checking that both count alike."""
    count, dim, permutations, draws, ways = (
        (30, 8, 5, 2, 10) if tiny else (1000, 768, 1000, 30, 300)
    )
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, dim)).astype(np.float32)
    brains = (images + 3 * rng.normal(size=images.shape)).astype(np.float32)
    similarity = cosine_similarity(brains, images)
    some = min(permutations, 20)  # of the rival's, whose time is proportional to their number

    def ours() -> float:
        draws_of(similarity, ways=ways, draws=draws)
        return permutation_tests([similarity], draws=permutations)[
            IMAGE_FROM_BRAIN, "top1"
        ].observed

    def again() -> float:
        for _ in range(some):
            order = rng.permutation(count)
            ranks(cosine_similarity(brains, images[order]))
        return float((ranks(similarity)[IMAGE_FROM_BRAIN] < 1).mean())

    if ours() != again():
        raise RuntimeError("the two disagree")
    seconds = take_turns(
        {"ours": ours, "again": again, "floor": lambda: np.sort(similarity, axis=1)},
        1 if tiny else 5,
    )
    seconds["again"] *= (permutations + draws) / some
    names = {
        "ours": f"neuroattn: {permutations:,} permutations and {draws} draws",
        "again": f"similarities anew each time ({some} timed)",
        "floor": "floor: one sort of every row",
    }  # fmt: skip
    return Table(
        title=f"Retrieval tests, {count:,} images, {permutations:,} permutations, {draws} draws",
        columns=("contender", "median time", "relative to ours"),
        rows=[(names[k], milliseconds(s), ratio(s, seconds["ours"])) for k, s in seconds.items()],
        notes=(
            "Both directions, top 1, top 5 and the mean rank.",
            f"The similarity itself is not counted: {2 * count**2 * dim / 1e9:.1f} GFLOP.",
            "Permutations and draws hold no further matrix.",
        ),
    )
