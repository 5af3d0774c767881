from __future__ import annotations

import socket
from pathlib import Path

import pytest

from neuroattn.generators.contract import Generator
from neuroattn.generators.families.opening import open_folder
from tests.unit.generators.families.pipelines import BUILDERS


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny random pipeline a family. Read only."""
    root = tmp_path_factory.mktemp("pipelines")
    return {name: build(root / name) for name, build in BUILDERS.items()}


@pytest.fixture(scope="session")
def generators(folders: dict[str, Path]) -> dict[str, Generator]:
    """Each of them, opened with no network. Not to be changed."""

    def refuse(*given, **named):
        raise AssertionError("a socket was opened")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        return {name: open_folder(folder) for name, folder in folders.items()}
