from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.synthesis.objectives import clusters, resolve
from neuroattn.synthesis.wishes import parse
from tests.unit.synthesis.conftest import facts_of


def raised(text: str, facts) -> list[float]:
    return resolve(parse(text), facts).raised.tolist()


def test_a_region_is_a_mean_whatever_its_size(regions) -> None:
    assert raised("A", regions) == [0.25, 0.25, 0.25, 0.25, 0, 0]
    assert raised("B", regions) == [0, 0, 0.5, 0, 0.5, 0]
    assert raised("rh.A", regions) == [0, 0, 0, 1, 0, 0]
    assert raised("- B", regions) == [0, 0, -0.5, 0, -0.5, 0]
    assert raised("A - B", regions) == [0.25, 0.25, -0.25, 0.25, -0.5, 0]
    assert raised("target:5", regions) == [0, 0, 0, 0, 0, 1]


def test_a_union_counts_each_target_once(regions) -> None:
    assert raised("A|B", regions) == pytest.approx([0.2] * 5 + [0])
    assert raised("lh.A|rh.B", regions) == [0.25, 0.25, 0.25, 0, 0.25, 0]
    assert raised("A + B", regions) != raised("A|B", regions), "a sum of means is twice as much"
    assert sum(raised("A|B", regions)) == pytest.approx(1)
    with pytest.raises(ConfigError, match="region nowhere"):
        raised("A|nowhere", regions)


def test_targets_that_were_not_fitted_belong_to_nothing(tmp_path: Path) -> None:
    predicted = np.array([[1, np.nan, 3, 5], [3, np.nan, 5, 7]], np.float32)
    np.save(tmp_path / "all.npy", np.ones(4))
    facts = facts_of(
        ["A", "A", "A|B", "C"], fitted=[True, False, True, True], predicted=predicted,
        directions={"all": tmp_path / "all.npy"},
    )  # fmt: skip
    assert raised("A", facts) == [0.5, 0, 0.5, 0]
    objective = resolve(parse("C and not A"), facts)
    assert objective.usual.tolist() == [3], "the mean of 2 and 4"
    with pytest.raises(ConfigError, match="no target of this objective was fitted"):
        raised("target:1", facts)
    with pytest.raises(DataError, match="holds no direction"):
        raised("direction:all", facts)
    alone = facts_of(["A", "B"], fitted=[True, False])
    with pytest.raises(ConfigError, match="region B"):
        raised("B", alone)


def test_a_large_region_has_no_larger_gradient() -> None:
    sizes = []
    for count in (1, 50):
        facts = facts_of(["A"] * count + [""] * (100 - count))
        responses = torch.zeros(1, 100, requires_grad=True)
        resolve(parse("A"), facts)(responses).sum().backward()
        sizes.append(float(responses.grad.sum()))
    assert sizes == [pytest.approx(1), pytest.approx(1)]


def test_subjects_count_once_however_many_targets_they_have() -> None:
    facts = facts_of(["A", "A", "A", "A", "B"], subjects=["s1", "s1", "s1", "s2", "s3"])
    assert raised("A", facts) == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2, 0])


def test_what_is_spared_costs_only_above_its_usual_response() -> None:
    predicted = np.array([[0, 1, 3], [0, 3, 1]], np.float32)  # B: 2 in the mean
    objective = resolve(parse("A and not B"), facts_of(["A", "B", "B"], predicted=predicted))
    responses = torch.tensor([[5.0, -9.0, -9.0], [5.0, 2.0, 2.0], [5.0, 4.0, 4.0]])
    assert objective(responses).tolist() == [5, 5, 3]


def test_the_values_of_a_batch_are_each_pictures_own(regions) -> None:
    objective = resolve(parse("A - B"), regions)
    responses = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    apart = torch.cat([objective(row[None]) for row in responses])
    assert torch.allclose(objective(responses), apart)


def test_clusters_are_counted_from_the_largest_and_do_not_change() -> None:
    far = np.array([[1, 0], [0, 1], [2, 0.1], [0.1, 3], [5, 0.2]], np.float32)
    assert clusters(far, 2).tolist() == [0, 1, 0, 1, 0]
    facts = facts_of(["A"] * 5, profiles=far)
    assert raised("cluster:1/2@A", facts) == pytest.approx([1 / 3, 0, 1 / 3, 0, 1 / 3])
    assert raised("cluster:2/2@A", facts) == pytest.approx([0, 0.5, 0, 0.5, 0])


def test_a_direction_is_scaled_by_its_own_size(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.array([2.0, -6.0, 0.0]))
    facts = facts_of(["A", "A", "A"], directions={"odd": tmp_path / "d.npy"})
    assert raised("direction:odd", facts) == pytest.approx([0.25, -0.75, 0])
    np.save(tmp_path / "d.npy", np.array([2.0, np.nan, 0.0]))
    with pytest.raises(DataError, match="no direction"):
        raised("direction:odd", facts)


def test_parcels_are_those_of_the_queries() -> None:
    facts = facts_of(["A", "A", "B"], parcels={"lh.p1": np.array([0, 2])})
    assert raised("parcel:lh.p1", facts) == [0.5, 0, 0.5]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FFA", "A | B | lh.A"), ("target:6", "0 to 5"), ("parcel:x", "this encoder has none"),
        ("cluster:3/2@A", "cluster:1/3@REGION"), ("cluster:1/9@A", "4 clusters"),
        ("cluster:1/2@FFA", "A | B | lh.A"), ("direction:x", "this encoder has none"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_with_what_is(text: str, says: str, regions) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(parse(text), regions)
    assert says in str(caught.value)
