"""Names, order and groups of queries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.queries import query_table, table_from_json, table_to_json
from neuroattn.encoding.registry import QueryKind

TARGETS = pd.DataFrame(
    {
        "hemisphere": ["lh", "rh", "lh", "rh", "lh", "lh"],
        "rois": ["V1|early", "V1", "FFA", "", "", "FFA|early"],
    }
)


def test_left_first_regions_in_order_of_mention_rest_last() -> None:
    table = query_table(TARGETS, QueryKind.rois)
    assert table.names == ("lh.V1", "lh.early", "lh.FFA", "lh.rest", "rh.V1", "rh.rest")
    assert table.targets_of("lh.early").tolist() == [0, 5]
    assert table.targets_of("rh.rest").tolist() == [3]


def test_order_puts_groups_side_by_side() -> None:
    table = query_table(TARGETS, QueryKind.rois)
    sorted_groups = table.group[table.order()]
    assert (np.diff(sorted_groups) >= 0).all()
    assert table.sizes() == np.bincount(table.group).tolist()


def test_chosen_regions_leave_the_others_to_the_rest() -> None:
    table = query_table(TARGETS, QueryKind.rois, rois=["FFA"])
    assert table.names == ("lh.FFA", "lh.rest", "rh.rest")
    assert table.targets_of("lh.rest").tolist() == [0, 4]


def test_coarser_queries() -> None:
    assert query_table(TARGETS, QueryKind.hemispheres).names == ("lh", "rh")
    one = query_table(TARGETS, QueryKind.one)
    assert one.names == ("all",)
    assert one.targets_of("all").tolist() == list(range(6))


def test_an_unknown_region_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="PPA") as caught:
        query_table(TARGETS, QueryKind.rois, rois=["PPA"])
    assert "FFA" in str(caught.value)


def test_a_table_survives_json() -> None:
    table = query_table(TARGETS, QueryKind.rois)
    again = table_from_json(table_to_json(table))
    assert again.names == table.names
    for field in ("groups", "multiplicity", "group"):
        np.testing.assert_array_equal(getattr(again, field), getattr(table, field))
