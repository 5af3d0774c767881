"""What an experiment says of itself is typed and checked."""

from __future__ import annotations

import pytest

from neuroattn.cli.compose import compose
from neuroattn.core.config import walk
from neuroattn.core.errors import ConfigError
from neuroattn.pipeline.build import nested
from neuroattn.pipeline.published import Certainty, ExpectedConfig, experiments, told


def test_a_value_needs_a_certainty_and_one_that_was_not_read_has_none() -> None:
    ExpectedConfig(figure="test.r", value=0.5, certainty=Certainty.read)
    ExpectedConfig(figure="test.r")
    for wrong in ({"value": 0.5}, {"certainty": Certainty.read}):
        with pytest.raises(ConfigError, match=r"test\.r"):
            ExpectedConfig(figure="test.r", **wrong)


def test_rows_are_typed_and_none_of_it_is_science() -> None:
    config = compose(["published.expected=[{figure: test.r, value: 0.5, certainty: read}]"])
    (row,) = config.published.expected
    assert isinstance(row, ExpectedConfig)
    assert row.certainty is Certainty.read
    keys = [key for key in walk(config) if key.path.startswith("published.")]
    assert {key.role for key in keys} == {"execution"}
    assert nested(config)["published"]["expected"][0]["certainty"] == "read", "config.yaml is plain"


def test_files_say_what_they_say() -> None:
    assert told("adeli2025_rois")["expected"][0]["value"] == 0.60
    assert told("simulated_scenes") == {}
    assert "klindt" in experiments()
