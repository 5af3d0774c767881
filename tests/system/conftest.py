"""Fixtures of the system tests: a cluster where one can be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.slurm import Cluster, UnavailableError


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running one-node SLURM, or a skip with its last words."""
    cluster = Cluster()
    try:
        try:
            cluster.start()
        except UnavailableError as reason:
            pytest.skip(f"no SLURM can be started here: {reason}")
        yield cluster
    finally:
        cluster.stop()
