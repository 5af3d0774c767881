"""Details of verbs that the tests of the whole command line do not reach."""

from __future__ import annotations

import pytest

from neuroattn.cli import verbs
from neuroattn.cli.main import VERBS
from neuroattn.core.errors import ConfigError, SecurityError


def test_every_verb_that_is_announced_is_there() -> None:
    assert set(verbs._VERBS) == set(VERBS)


def test_verbs_compose_under_the_guard() -> None:
    assert verbs._compose(["notes.a=b", "seed=3"]).notes == {"a": "b"}
    with pytest.raises(SecurityError):
        verbs._compose(["+hydra.callbacks.x._target_=os.system"])
    with pytest.raises(ConfigError):
        verbs._compose(["hydra/launcher=joblib"])


@pytest.mark.parametrize(("value", "shown"), [(None, "default"), (0, "0"), ([], "[]")])
def test_a_key_at_its_default_is_told_so(value: object, shown: str) -> None:
    assert verbs._shown(value) == shown
