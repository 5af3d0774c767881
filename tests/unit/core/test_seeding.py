"""Named streams: frozen, apart from each other, and untouched by newcomers."""

from __future__ import annotations

from neuroattn.core.seeding import derive_seed, generator


def test_seeds_are_frozen() -> None:
    # Changing one of these would change every split and every result in the world.
    assert derive_seed(0) == 3456079177858693020
    assert derive_seed(0, "split", "kfold") == 4867951099291565764


def test_streams_differ_by_seed_and_by_every_name() -> None:
    seeds = {derive_seed(0, "a"), derive_seed(1, "a"), derive_seed(0, "b"), derive_seed(0, "a", 0)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_one_stream_does_not_feel_another() -> None:
    first = generator(3, "a")
    generator(3, "b").normal(size=100)
    assert first.normal() == generator(3, "a").normal()
