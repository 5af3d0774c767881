"""Logging: the package logs under ``neuroattn``; each artefact keeps its own ``log.txt``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
DEBUG_VARIABLE = "NEUROATTN_DEBUG"


def debugging() -> bool:
    """Whether ``--debug`` was given: tracebacks are shown."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


@contextmanager
def log_to(file: Path) -> Iterator[None]:
    """Copy the package's log into ``file`` for the length of the block."""
    handler = logging.FileHandler(file, delay=True)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger = logging.getLogger("neuroattn")
    before = logger.level
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()
