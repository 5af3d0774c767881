"""Templates of files, subsets, and what they expand to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.data.manifests.schema import FileEntry, Manifest, Subset, Template

BETAS = Template(
    "betas", "b/{subject}/{side}.s{session}.mgh", "mgh", ">f4", "{side}_n 1 1 4", "exact",
    needed=True, sha256="unknown", note="",
)  # fmt: skip
DESIGN = replace(
    BETAS, id="design", path="design.mat", format="mat", dtype="unknown", shape="unknown",
    bytes="unknown",
)  # fmt: skip
VOLUME = replace(
    BETAS, id="volume", path="v/{subject}.h5", format="hdf5", dtype="int16", shape="4 -grid",
    bytes="raw",
)  # fmt: skip


@pytest.fixture
def manifest() -> Manifest:
    text = dict.fromkeys(
        ("title", "version", "homepage", "licence", "terms", "agreement", "redistribution",
         "citation", "source", "digests", "obtain"), "x",
    )  # fmt: skip
    stages = {"prepare": ("design", "betas"), "features": ("prepare",), "map": ("volume",)}
    return Manifest(
        name="toy",
        **text,
        anonymous=True,
        sources=("here",),
        placeholders={"side": ("lh", "rh")},
        subjects={
            "s1": {"sessions": 2, "lh_n": 5, "rh_n": 6, "grid": (2, 3, 4)},
            "s2": {"sessions": 1, "lh_n": 7, "rh_n": 8},
        },
        subsets={"left": Subset("left", "the left side", {"side": ("lh",)}, stages)},
        default_subset="left",
        templates={each.id: each for each in (BETAS, DESIGN, VOLUME)},
    )


def _paths(entries: object) -> list[str]:
    return [entry.path for entry in entries]  # type: ignore[attr-defined]


def test_each_value_of_each_placeholder_makes_a_file(manifest: Manifest) -> None:
    paths = _paths(manifest.entries())
    assert paths == [
        "b/s1/lh.s01.mgh", "b/s1/lh.s02.mgh", "b/s1/rh.s01.mgh", "b/s1/rh.s02.mgh",
        "b/s2/lh.s01.mgh", "b/s2/rh.s01.mgh", "design.mat", "v/s1.h5", "v/s2.h5",
    ]  # fmt: skip


def test_subset_subject_and_stage_narrow_the_files(manifest: Manifest) -> None:
    left = manifest.subset(None)
    assert _paths(manifest.entries(left, ("s2",), "prepare")) == ["design.mat", "b/s2/lh.s01.mgh"]
    assert _paths(manifest.entries(left, ("s1",), "map")) == ["v/s1.h5"]
    assert left.needs("features") == ("design", "betas")
    assert left.ids() == ("design", "betas", "volume")


def test_sizes_follow_from_shapes(manifest: Manifest) -> None:
    entries = {entry.path: entry for entry in manifest.entries()}
    betas = entries["b/s1/rh.s01.mgh"]
    assert (betas.shape, betas.bytes, betas.exact) == ((6, 1, 1, 4), 284 + 6 * 4 * 4, True)
    assert betas.session == 1
    volume = entries["v/s1.h5"]
    assert (volume.shape, volume.bytes, volume.exact) == ((4, 4, 3, 2), 4 * 24 * 2, False)
    assert entries["v/s2.h5"].bytes is None
    assert entries["design.mat"].bytes is None
    assert replace(DESIGN, bytes="12").entry({}, {}).bytes == 12


def test_groups_and_patterns() -> None:
    assert FileEntry("x", "a/*.png", "picture").is_group
    assert BETAS.glob == "b/*/*.s*.mgh"
    assert FileEntry("x", "a/b/c", "other").folder == "a/b"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.subset("right"), "no subset right"),
        (lambda m: list(m.entries(None, ("s9",))), "no subject s9"),
        (lambda m: m.subset(None).needs("encode"), "nothing about the stage encode"),
    ],
)
def test_unknown_names_are_errors(call: object, message: str, manifest: Manifest) -> None:
    with pytest.raises(ConfigError, match=message):
        call(manifest)  # type: ignore[operator]
