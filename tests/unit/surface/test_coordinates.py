"""Two spaces and two sides."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.surface.coordinates import check_hemisphere, to_mni152, to_mni305


def test_the_published_example_of_the_transform():
    # FreeSurfer's own worked example: MNI305 (10, -20, 35) is MNI152 (10.695, -18.409, 36.137).
    assert np.allclose(to_mni152([10.0, -20.0, 35.0]), [10.695, -18.409, 36.137], atol=5e-3)


def test_there_and_back():
    points = np.random.default_rng(0).uniform(-70, 70, (20, 3))
    assert np.allclose(to_mni305(to_mni152(points)), points)


def test_spaces_differ_by_millimetres():
    corners = np.array([[60.0, -90, -30], [-60, 50, 70]])
    moved = np.linalg.norm(to_mni152(corners) - corners, axis=1)
    assert (moved > 0.5).all()
    assert (moved < 6).all()


def test_a_hemisphere_is_lh_or_rh():
    assert check_hemisphere("rh") == "rh"
    with pytest.raises(ConfigError, match="no such hemisphere"):
        check_hemisphere("left")
