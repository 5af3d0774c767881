"""Networks of transformers and diffusers from a folder: whole, or refused; nothing is fetched.

Weights that a file lacks are filled with random numbers by both libraries, which only print it:
such a network gives other values in every process.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

from neuroattn.core.errors import DataError


def read_network(kind: Any, folder: Path, *, spare: Collection[str] = (), **given: Any) -> Any:
    """A network that ``save_pretrained`` wrote, on the CPU.

    Parameters
    ----------
    kind : a class of transformers or diffusers with ``from_pretrained``.
    spare : last parts of names of weights that nothing here uses: a file may lack these.
    given : further arguments of ``from_pretrained``, as the precision.

    Raises
    ------
    DataError : files are missing or torn, are of another network, or lack some of its weights.
    """
    network, told = _read(
        kind, folder, "its configuration and safetensors", use_safetensors=True,
        output_loading_info=True, **given,
    )  # fmt: skip
    lacking = sorted(
        name for name in told["missing_keys"] if name.rpartition(".")[2] not in set(spare)
    )
    if lacking:
        raise DataError(
            f"the file of weights of this {kind.__name__} is not whole",
            file=folder,
            expected="weights for every part of the network",
            found=f"none for {len(lacking)} of them: {', '.join(lacking[:3])}"
            + " …" * (len(lacking) > 3),
            fix="copy the whole model, or save it again with save_pretrained",
        )
    return network


def read_part(kind: Any, folder: Path) -> Any:
    """A tokeniser, scheduler or processor that ``save_pretrained`` wrote.

    Raises
    ------
    DataError : files are missing or torn, or of another class.
    """
    with warnings.catch_warnings():  # a scheduler's way to NumPy is about to be renamed
        warnings.simplefilter("ignore", DeprecationWarning)
        return _read(kind, folder, "its configuration")


def _read(kind: Any, folder: Path, expected: str, **given: Any) -> Any:
    from safetensors import SafetensorError

    try:
        return kind.from_pretrained(folder, local_files_only=True, **given)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        told = str(error).strip()
        raise DataError(
            f"the {kind.__name__} in this folder cannot be read",
            file=folder,
            expected=expected,
            found=told.splitlines()[0] if told else type(error).__name__,
            fix="copy the whole model, or save it again with save_pretrained",
        ) from error
