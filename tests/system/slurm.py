"""A real SLURM of one node on this machine, in a folder of its own, for as long as a test runs.

Nothing of an installed cluster is touched: own keys, own ports on the loopback address, own
state. The daemons run as whoever runs the tests.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.system.command import environment

PARTITION = "quick"
DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sinfo", "squeue", "sbatch", "srun", "scancel", "scontrol")
START_WITHIN, STOP_WITHIN = 30.0, 15.0

CONFIG = """\
ClusterName=neuroattn
SlurmctldHost={host}({address})
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
ReturnToService=2
KillWait=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr={address} CPUs=2 State=UNKNOWN
PartitionName={partition} Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class UnavailableError(Exception):
    """This machine cannot have a cluster; the message says why."""


class Cluster:
    """One node with two slots, to be started, used and stopped."""

    def __init__(self) -> None:
        # Not pytest's folder: munged wants a socket that every user could reach.
        self.folder = Path(tempfile.mkdtemp(prefix="neuroattn-slurm-"))
        self.folder.chmod(0o755)
        self.partition = PARTITION
        self.variables = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._prefix: list[str] = []
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Return once the node is idle.

        Raises
        ------
        UnavailableError : a program is absent, or a daemon did not come up.
        """
        absent = [name for name in (*DAEMONS, *CLIENTS) if _find(name) is None]
        if absent:
            raise UnavailableError(f"absent: {', '.join(absent)} (tests/system/install.sh)")
        self._configure(*self._settle())
        self._launch(
            "munged", "--foreground", f"--key-file={self.folder}/munge.key",
            f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munged.pid",
            f"--seed-file={self.folder}/munged.seed", f"--log-file={self.folder}/munged.log",
        )  # fmt: skip
        self._wait((self.folder / "munge.socket").is_socket, "munged")
        self._launch("slurmctld", "-D", "-c")
        self._launch("slurmd", "-D", "-c")
        self._wait(lambda: self.ask("sinfo", "-h", "-o", "%T") == "idle", "the node")

    def ask(self, *command: str) -> str:
        """The stdout of a client program, stripped; empty where it failed."""
        done = subprocess.run(
            command,
            env=environment(self.variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def stop(self) -> None:
        """Cancel what still runs, end the daemons in reverse, remove the folder."""
        if len(self._daemons) == len(DAEMONS):
            self.ask("scancel", "--user", getpass.getuser())
            until = time.monotonic() + STOP_WITHIN
            # Else the steps of a job would outlive the daemons that know of them.
            while self.ask("squeue", "-h") and time.monotonic() < until:
                time.sleep(0.2)
        for daemon in reversed(self._daemons):
            _end(daemon)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _settle(self) -> tuple[str, str]:
        """Name and loopback address of the host; daemons bind to what its name resolves to."""
        if _find("unshare") and _succeeds("unshare", "--uts", "true"):
            self._prefix = ["unshare", "--uts", "sh", "-c", 'hostname localhost && exec "$@"', "sh"]
            return "localhost", "127.0.0.1"
        host = socket.gethostname().partition(".")[0]
        try:
            address = socket.gethostbyname(host)
        except OSError as error:
            raise UnavailableError(f"the name of this host, {host}, is unknown") from error
        if not address.startswith("127."):
            raise UnavailableError(f"{host} is {address}, where others could reach the daemons")
        return host, address

    def _configure(self, host: str, address: str) -> None:
        controller_port, node_port = _free_ports(2)
        text = CONFIG.format(
            host=host,
            address=address,
            user=getpass.getuser(),
            folder=self.folder,
            partition=self.partition,
            controller_port=controller_port,
            node_port=node_port,
        )
        (self.folder / "slurm.conf").write_text(text)
        for name in ("state", "spool"):
            (self.folder / name).mkdir(mode=0o755)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(64))
        key.chmod(0o600)

    def _launch(self, name: str, *words: str) -> None:
        command = [str(_find(name)), *words]
        if _find("setpriv"):  # ends with us, even where we are killed
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        with open(self.folder / f"{name}.out", "wb") as out:
            daemon = subprocess.Popen(
                [*self._prefix, *command],
                env=environment(self.variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._daemons.append(daemon)

    def _wait(self, is_ready: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + START_WITHIN
        while time.monotonic() < until:
            if is_ready():
                return
            if any(daemon.poll() is not None for daemon in self._daemons):
                raise UnavailableError(f"a daemon ended at once\n{self._last_words()}")
            time.sleep(0.2)
        raise UnavailableError(
            f"{what} was not ready in {START_WITHIN:.0f} s\n{self._last_words()}"
        )

    def _last_words(self, count: int = 4) -> str:
        told = []
        for file in sorted(self.folder.glob("*.out")):
            lines = file.read_text(errors="replace").splitlines()[-count:]
            told += [f"{file.stem}: {line}" for line in lines]
        return "\n".join(told)


def _find(name: str) -> str | None:
    """Daemons stand in folders that are not on everyone's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all held at once so that they differ."""
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [holder.getsockname()[1] for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def _end(daemon: subprocess.Popen[bytes], patience: float = 10) -> None:
    """Ask a daemon's whole session to leave, then insist."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if daemon.poll() is not None:
            break
        try:
            os.killpg(daemon.pid, number)
            daemon.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    daemon.poll()
