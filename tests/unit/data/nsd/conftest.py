"""One fabricated copy of NSD in every space and format, and a writable one for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neuroattn.data.nsd import layout
from tests.nsd_files import Nsd


def write_all(nsd: Nsd) -> Nsd:
    nsd.write_design()
    nsd.write_behaviour()
    nsd.write_coco()
    for space, kinds in layout.FORMATS.items():
        nsd.write_maps(space)
        for kind in kinds:
            nsd.write_betas(space, kind)
    return nsd


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Nsd:
    """Every space and format of subject 1. Read only."""
    return write_all(Nsd(tmp_path_factory.mktemp("nsd")))


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Nsd]:
    """Make a writable copy of subject 1 in one space."""

    def make(space: str = "fsaverage", kind: str = "mgh", **settings: object) -> Nsd:
        nsd = Nsd(tmp_path / "nsd", **settings)
        nsd.write_design()
        nsd.write_behaviour()
        nsd.write_maps(space)
        nsd.write_betas(space, kind)
        return nsd

    return make
