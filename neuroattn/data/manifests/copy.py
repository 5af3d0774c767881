"""A copy of a dataset under examination: which of its files are there, and which are sound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from neuroattn.data.manifests.schema import FileEntry, Manifest


@dataclass(frozen=True)
class CopiedFile:
    """One file that is there."""

    entry: FileEntry
    path: Path
    name: str
    """Its path below the dataset's folder."""


@dataclass(frozen=True)
class Copy:
    """The files of a dataset in a folder; ``sound`` are names without findings of their own."""

    root: Path
    manifest: Manifest
    files: tuple[CopiedFile, ...]
    sound: frozenset[str]

    @property
    def is_simulated(self) -> bool:
        """Whether sizes are free, since this package made the files."""
        return self.manifest.name == "simulated"

    def of(self, *ids: str, **values: str) -> list[CopiedFile]:
        """Files that are there, by their row of the manifest and values of placeholders."""
        return [
            file
            for file in self.files
            if file.entry.id in ids
            and all(file.entry.values.get(key) == value for key, value in values.items())
        ]

    def sound_of(self, *ids: str, **values: str) -> list[CopiedFile]:
        """Those of `of` that can be read."""
        return [file for file in self.of(*ids, **values) if file.name in self.sound]

    def one(self, id_: str, **values: str) -> CopiedFile | None:
        """The first sound file of a row."""
        return next(iter(self.sound_of(id_, **values)), None)

    def subjects(self) -> list[str]:
        """Subjects of which a file is there."""
        found = {file.entry.values.get("subject") for file in self.files}
        return sorted(subject for subject in found if subject)


def grouped(files: Iterable[CopiedFile], *keys: str) -> dict[tuple[str, ...], list[CopiedFile]]:
    """Files by the values of some placeholders."""
    groups: dict[tuple[str, ...], list[CopiedFile]] = {}
    for file in files:
        key = tuple(file.entry.values.get(name, "") for name in keys)
        groups.setdefault(key, []).append(file)
    return groups
