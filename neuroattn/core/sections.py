"""Config sections that belong to no method: where things are written, and on what they run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neuroattn.core.config import Section, execution


@dataclass(kw_only=True)
class PathsConfig(Section):
    """Where everything that is written goes."""

    root: str = execution(
        "outputs", "Folder of all artefacts and job records; relative to where you stand."
    )


class Device(Enum):
    """Where torch computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


@dataclass(kw_only=True)
class RuntimeConfig(Section):
    """On what and how fast; none of it changes what is computed."""

    device: Device = execution(Device.auto, "auto takes an accelerator where there is one.")
    threads: int | None = execution(
        None,
        "CPU threads of torch and BLAS; None leaves them alone. Bytes are promised for one count.",
        check=lambda count: count is None or count > 0,
        must="be above 0",
    )
    workers: int = execution(
        2,
        "Decoding threads or loader processes.",
        check=lambda count: count >= 0,
        must="be 0 or more",
    )


@dataclass(kw_only=True)
class ClaimsConfig(Section):
    """What to do when another live process computes the same artefact."""

    wait: bool = execution(True, "Wait for it and use its result; false leaves with exit code 75.")


class Parents(Enum):
    """What to do about a parent that does not exist."""

    build = "build"
    require = "require"
