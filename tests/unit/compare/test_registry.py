"""What may be compared: names, partitions, the reference; and what enters the fingerprint."""

from __future__ import annotations

import pytest

from neuroattn.compare.registry import STAGES, CompareConfig
from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import ConfigError
from neuroattn.pipeline.config import RootConfig

(STAGE,) = STAGES


def root(**keys: object) -> RootConfig:
    return RootConfig(compare=CompareConfig(**keys))


@pytest.mark.parametrize("name", ["", "a/b", "ensemble", "ensemble@s1", "a b", "@s1", "a@", "../a"])
def test_names_that_cannot_be_columns_or_folders_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"members is out of range"):
        CompareConfig(members={name: "encoder=ridge"})


@pytest.mark.parametrize("parts", [["a"], ["a", "a"], ["a", "ab"], ["a", "b", "c"]])
def test_a_partition_has_two_other_models(parts: list[str]) -> None:
    with pytest.raises(ConfigError, match="partitions is out of range"):
        CompareConfig(partitions={"ab": parts})


def test_models_that_are_no_members_are_refused() -> None:
    members = {"a": "x", "b": "y"}
    with pytest.raises(ConfigError, match="no members: c"):
        CompareConfig(members=members, reference="c")
    with pytest.raises(ConfigError, match="no members: d"):
        CompareConfig(members=members, partitions={"a": ["b", "d"]})
    assert CompareConfig(members=members, reference="ensemble").reference == "ensemble"
    with pytest.raises(ConfigError, match="no members: d"):
        CompareConfig(members=members, apart=["d"])
    with pytest.raises(ConfigError, match="no member is left"):
        CompareConfig(members=members, apart=["a", "b"])


def test_nothing_to_compare_is_told() -> None:
    with pytest.raises(ConfigError, match="nothing to compare"):
        STAGE.cites(root())


def test_each_member_is_cited_under_its_name() -> None:
    cited = STAGE.cites(root(members={"b@s1": "encoder=ridge", "a": "ridge-12345678"}))
    assert cited == {
        "encode/b@s1": ("encode", "encoder=ridge"),
        "encode/a": ("encode", "ridge-12345678"),
    }


def test_the_way_a_member_is_named_is_no_science() -> None:
    made = root(members={"a": "encoder=ridge"}, temperature=0.1)
    assert science_values(walk(made), STAGE.reads) == {"compare.temperature": 0.1}


def test_the_label_names_the_members_until_there_are_too_many() -> None:
    assert STAGE.label(root(members={"b@s1": "x", "a": "y"})) == "compare-a-b.s1"
    many = {f"member{number}": "x" for number in range(9)}
    assert STAGE.label(root(members=many)) == "compare-9-members"
