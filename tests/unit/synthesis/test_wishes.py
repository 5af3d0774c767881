from __future__ import annotations

import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.synthesis.wishes import Part, parse


@pytest.mark.parametrize(
    ("text", "raised", "spared"),
    [
        ("FFA-1", [(1, "region", "FFA-1")], []),
        ("- lh.FFA-1", [(-1, "region", "lh.FFA-1")], []),
        ("FFA-1 - PPA", [(1, "region", "FFA-1"), (-1, "region", "PPA")], []),
        ("FFA-1 - 0.5 * PPA", [(1, "region", "FFA-1"), (-0.5, "region", "PPA")], []),
        ("2 * A + B", [(2, "region", "A"), (1, "region", "B")], []),
        ("FFA-1 and not PPA", [(1, "region", "FFA-1")], [(1, "region", "PPA")]),
        ("A and not B and not target:3", [(1, "region", "A")],
         [(1, "region", "B"), (1, "target", "3")]),
        ("cluster:1/3@FFA-1", [(1, "cluster", "1/3@FFA-1")], []),
        ("parcel:lh.V1v", [(1, "parcel", "lh.V1v")], []),
        ("direction:odd", [(1, "direction", "odd")], []),
    ],
)  # fmt: skip
def test_an_objective_says_what_is_raised_and_what_spared(text, raised, spared) -> None:
    wish = parse(text)
    assert list(wish.raised) == [Part(*part) for part in raised]
    assert list(wish.spared) == [Part(*part) for part in spared]


@pytest.mark.parametrize(
    "text",
    ["", "-", "A -", "A B", "A - - B", "x * A", "A and not", "target:", "voxel:3", "A and not B C"],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        parse(text)


def test_slugs_are_file_names_and_differ() -> None:
    texts = ["FFA-1", "- FFA-1", "FFA-1 - PPA", "FFA-1 and not PPA", "0.5 * A", "cluster:1/3@OPA"]
    slugs = [parse(text).slug for text in texts]
    assert slugs[:3] == ["FFA-1", "minus-FFA-1", "FFA-1-minus-PPA"]
    assert len(set(slugs)) == len(texts)
    assert not set("".join(slugs)) & set(" /:@*")
