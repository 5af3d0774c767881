"""A sweep on a real SLURM, whose jobs are scheduled, run and read back as on a cluster.

There is no accounting, as on many small clusters: ``sacct`` fails, and the launcher says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.slurm import Cluster
from tests.system.sweep import GOOD, TRACEBACK, Sweep, SweepContract, artefact_of, run_sweep

pytestmark = pytest.mark.system

Launch = Callable[..., Sweep]


@pytest.fixture(scope="module")
def launch(cluster: Cluster, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Launch:
    """Run a sweep on the cluster, each time under the same root."""
    root = tmp_path_factory.mktemp("slurm") / "root"

    def run(layers: str, *more: str, partition: str = cluster.partition) -> Sweep:
        words = ("hydra/launcher=submitit_slurm", f"hydra.launcher.partition={partition}", *more)
        return run_sweep(layers, *words, data=tiny_data, root=root, variables=cluster.variables)

    return run


@pytest.fixture(scope="module")
def sweep(launch: Launch) -> Sweep:
    """A good job and a failing one."""
    return launch("[blocks.4],[blocks.9]")


@pytest.fixture(scope="module")
def good(launch: Launch) -> Sweep:
    """One good job."""
    return launch("[blocks.4]", "encoder.n_alphas=2")


class TestSlurm(SweepContract):
    def test_provenance_has_the_job(self, sweep: Sweep) -> None:
        recorded = artefact_of(sweep).provenance["slurm"]
        assert recorded["SLURM_JOB_ID"].isdigit()
        assert recorded["SLURM_ARRAY_TASK_ID"] == "0"
        assert recorded["SLURM_CLUSTER_NAME"] == "neuroattn"

    def test_jobs_go_by_the_stages_name(self, sweep: Sweep, cluster: Cluster) -> None:
        number = artefact_of(sweep).provenance["slurm"]["SLURM_JOB_ID"]
        shown = cluster.ask("scontrol", "show", "job", number).split()
        assert "JobName=encode" in shown

    def test_refused_submission_is_told_like_a_failure(self, launch: Launch) -> None:
        refused = launch("[blocks.4],[blocks.9]", partition="nonesuch")
        assert refused.ran.lines == ["-", "-"]
        assert refused.ran.code == 1
        assert "2 of 2 jobs failed" in refused.ran.err
        assert "invalid partition" in refused.ran.err
        assert GOOD in refused.ran.err
        assert TRACEBACK not in refused.ran.err
