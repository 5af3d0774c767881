"""Messages, exit codes, and the way through another process."""

from __future__ import annotations

import pickle

import pytest

from neuroattn.core import errors
from neuroattn.core.errors import ConfigError, LeakError, NeuroattnError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, NeuroattnError)
]


def test_the_message_has_a_row_for_each_fact_that_is_known() -> None:
    error = ConfigError("no such layer", file="a.yaml", expected="stem", found=0, fix="name stem")
    assert str(error).splitlines() == [
        "no such layer", "  file: a.yaml", "  expected: stem", "  found: 0", "  fix: name stem",
    ]  # fmt: skip
    assert str(ConfigError("bare")) == "bare"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_another_process_with_all_it_says(kind: type[NeuroattnError]) -> None:
    error = kind("problem", file="f", expected=1, found=2, fix="mend it")
    error.exit_code = 9
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.exit_code) == (str(error), 9)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_builtin_that_a_caller_would_catch(kind: type[NeuroattnError]) -> None:
    assert kind.exit_code != 0
    if kind is not NeuroattnError:
        bases = set(kind.__mro__) - {kind, NeuroattnError, Exception, BaseException, object}
        assert bases, f"{kind.__name__} derives from no builtin"


def test_a_leak_is_a_value_error() -> None:
    assert issubclass(LeakError, ValueError)
