"""Model folders: files, a card that says what they are, and digests that are checked on reading.

::

    <name>/
        card.json    data, configuration, steps, time, scores, limits, licence, digest of each file
        README.md    the same for a person
        …            config.json and safetensors, as diffusers and transformers lay them out

A folder appears as a whole, under its name, or not at all.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from neuroattn.core.atomic import (
    ensure_folder,
    fsync_file,
    read_json,
    storage_errors,
    write_json,
    write_text,
)
from neuroattn.core.errors import ArtefactError, MissingDataError
from neuroattn.core.fingerprint import canonical, file_digest
from neuroattn.data.folders import publish

CARD, READABLE = "card.json", "README.md"
LICENCE: Final = "MIT"
EMBEDDED: Final = Path(__file__).parent / "embedded"  # the models that ship
Card = dict[str, Any]


def write_model(folder: Path, save: Callable[[Path], None], facts: Mapping[str, Any]) -> Card:
    """Write a model folder; ``save`` puts its files into the empty folder that it is given.

    Raises
    ------
    StorageError : another model is there, or the disk refuses.
    """
    ensure_folder(folder.parent)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        ensure_folder(draft)
        with storage_errors(draft):
            save(draft)
        card = {**facts, "licence": LICENCE, "files": _files(draft)}
        write_card(draft, card)
        publish(draft, folder, _identifying(card), _recorded)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return card


def read_card(folder: Path) -> Card:
    """The card of a model folder whose files are those that were written.

    Raises
    ------
    MissingDataError : there is no model here.
    ArtefactError : a file is missing, or has other bytes.
    """
    path = folder / CARD
    if not path.is_file():
        raise MissingDataError(
            "there is no embedded model here",
            file=folder,
            expected=f"a folder with {CARD}",
            found="no card" if folder.exists() else "no folder",
            fix=how_to_build(folder),
        )
    card: Card = read_json(path)
    for name, entry in card["files"].items():
        file = folder / name
        found = file_digest(file) if file.is_file() else "no file"
        if found != entry["sha256"]:
            raise ArtefactError(
                f"a file of the model {card['model']} is not what was written",
                file=file,
                expected=f"sha256 {entry['sha256']}",
                found=found,
                fix=f"install neuroattn again, or remove {folder} and build the model",
            )
    return card


def how_to_build(folder: Path) -> str:
    """The command that puts a model of ours into ``folder``."""
    root = "" if folder.parent == EMBEDDED else f" --root {shlex.quote(str(folder.parent))}"
    return f"python -m neuroattn.generators build {folder.name}{root}   (docs/models.md)"


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card of a model whose files are there, and the same for a person."""
    write_text(folder / READABLE, readable(card))
    write_json(folder / CARD, card)


def identity(card: Mapping[str, Any]) -> str:
    """Digest of all files of a model: equal digests are equal models."""
    digests = {name: entry["sha256"] for name, entry in card["files"].items()}
    return hashlib.sha256(canonical(digests).encode()).hexdigest()


def copy_model(source: Path, target: Path) -> Card:
    """Copy a verified model folder, as one that ships with the package.

    Raises
    ------
    StorageError : another model is there.
    """
    card = read_card(source)
    facts = {name: value for name, value in card.items() if name not in ("files", "licence")}

    def save(draft: Path) -> None:
        for name in card["files"]:
            ensure_folder((draft / name).parent)
            shutil.copyfile(source / name, draft / name)

    return write_model(target, save, facts)


def replace_model(source: Path, target: Path) -> Card:
    """Put a verified model folder in the place of an older one, which stays until the new is whole.

    Raises
    ------
    MissingDataError, ArtefactError : ``source`` holds no whole model.
    StorageError : the disk refuses.
    """
    mark = secrets.token_hex(4)
    new, old = (target.with_name(f".{target.name}.{mark}.{kind}.tmp") for kind in ("new", "old"))
    try:
        card = copy_model(source, new)
        with storage_errors(target):
            if target.exists():
                os.replace(target, old)
            os.replace(new, target)
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
    return card


def readable(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    scores = "\n".join(f"| {name} | {value:.4g} |" for name, value in card["scores"].items())
    size = sum(entry["bytes"] for entry in card["files"].values())
    return f"""# {card["model"]}

{card["about"]} Embedded in neuroattn; not for conclusions about brains or photographs.

- Data: {card["data"]}
- Training: {card["steps"]} optimiser steps, {card["cpu_seconds"]:.0f} s of CPU on {card["device"]}.
- Made with: {", ".join(f"{name} {version}" for name, version in card["versions"].items())}.
- Limits: {card["limits"]}
- Licence: {card["licence"]}. Size: {size / 1e6:.2f} MB.

| score | value |
|---|---|
{scores}

Scores called `held` are of other scenes of the sources it learned from, by which the best
checkpoint was chosen; those called `unseen` are of sources that it never learned from.

Rebuild: `python -m neuroattn.generators build {card["model"]}`
"""


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in found:
        fsync_file(path)
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": file_digest(path),
            "bytes": path.stat().st_size,
        }
        for path in found
    }


def _identifying(card: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": card["model"], "files": card["files"]}


def _recorded(folder: Path) -> dict[str, Any] | None:
    path = folder / CARD
    return _identifying(read_json(path)) if path.is_file() else None
