"""Files that come with the package, and paths as users write them."""

from __future__ import annotations

import pytest

from neuroattn.core.errors import MissingDataError
from neuroattn.core.resources import shipped


def test_what_an_installation_lacks_comes_from_the_checkout() -> None:
    # The package is in no index, so its name alone would find nothing, or something else.
    with pytest.raises(MissingDataError, match="lacks its folder") as caught:
        shipped("nothing")
    assert "pip install ." in str(caught.value.fix)
