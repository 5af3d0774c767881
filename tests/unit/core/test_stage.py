"""What a stage function is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.core.sections import Device, PathsConfig, RuntimeConfig
from neuroattn.core.stage import StageContext


def context(**sections: Any) -> StageContext:
    nothing: Any = None
    return StageContext(
        config=SimpleNamespace(**sections), parents={}, out=nothing, tracker=nothing, seed=0,
        fingerprint="0" * 64,
    )  # fmt: skip


def test_a_section_is_found_by_its_dotted_name() -> None:
    runtime = RuntimeConfig(device=Device.cpu)
    inner = SimpleNamespace(runtime=runtime)
    assert context(runtime=runtime).section("runtime", RuntimeConfig) is runtime
    assert context(a=inner).section("a.runtime", RuntimeConfig) is runtime


def test_a_section_of_another_kind_is_an_error_that_names_both() -> None:
    with pytest.raises(ConfigError, match="runtime") as caught:
        context(runtime=PathsConfig()).section("runtime", RuntimeConfig)
    assert (caught.value.expected, caught.value.found) == ("RuntimeConfig", "PathsConfig")


def test_progress_goes_where_the_pipeline_says() -> None:
    opened: list[tuple[str, int | None]] = []

    class Silent:
        def __init__(self, title: str, total: int | None) -> None:
            opened.append((title, total))

        def __enter__(self) -> Silent:
            return self

        def __exit__(self, *_: object) -> None:
            opened.append(("closed", None))

    given = context()
    given.open_progress = Silent  # type: ignore[assignment]
    with given.progress("count", 3):
        pass
    assert opened == [("count", 3), ("closed", None)]
