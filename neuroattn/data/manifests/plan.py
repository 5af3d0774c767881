"""What a subset of a dataset is, what of it is on this machine, and how to get the rest.

Nothing is downloaded and nothing is opened: a plan asks for sizes of files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuroattn.data.manifests.schema import FileEntry, Manifest, Subset

_FEW = 3  # files of one folder that are copied by name rather than by pattern


@dataclass(frozen=True)
class PlannedFile:
    """One entry of a manifest and what stands in its place: its files, each with its bytes."""

    entry: FileEntry
    present: tuple[tuple[Path, int], ...]

    @property
    def is_missing(self) -> bool:
        """Whether nothing is there."""
        return not self.present

    @property
    def present_bytes(self) -> int:
        """Bytes on this machine."""
        return sum(size for _, size in self.present)


@dataclass(frozen=True)
class Total:
    """A sum of bytes of which some parts may be estimates, or not known."""

    bytes: int = 0
    estimated: bool = False
    unknown: int = 0

    def __add__(self, entry: FileEntry) -> Total:
        """With one more file."""
        return Total(
            self.bytes + (entry.bytes or 0),
            self.estimated or (entry.bytes is not None and not entry.exact),
            self.unknown + (entry.bytes is None),
        )

    def __str__(self) -> str:
        """``78.9 GB (estimate) + 28 of unknown size``."""
        words = [human(self.bytes) + (" (estimate)" if self.estimated else "")]
        words = words if self.bytes else []
        if self.unknown:
            words.append(f"{self.unknown} of unknown size")
        return " + ".join(words) or "0 B"


@dataclass(frozen=True)
class Plan:
    """A choice of files of a dataset, held against a folder."""

    manifest: Manifest
    subset: Subset | None
    root: Path | None
    files: tuple[PlannedFile, ...]

    @property
    def missing(self) -> tuple[FileEntry, ...]:
        """Entries of which nothing is there."""
        return tuple(file.entry for file in self.files if file.is_missing)

    def groups(self) -> list[tuple[str, list[PlannedFile]]]:
        """Files by the row of the manifest and the subject they belong to."""
        groups: dict[str, list[PlannedFile]] = {}
        for file in self.files:
            owner = file.entry.values.get("subject", "")
            groups.setdefault(f"{file.entry.id} {owner}".strip(), []).append(file)
        return list(groups.items())


def make_plan(
    manifest: Manifest,
    *,
    subset: str | None = None,
    subjects: Sequence[str] = (),
    stage: str | None = None,
    root: Path | None = None,
) -> Plan:
    """Plan a subset (the default one without a name) for ``subjects`` (all without names).

    Raises
    ------
    ConfigError : a subset, subject or stage that the manifest does not have.
    """
    chosen = manifest.subset(subset)
    entries = manifest.entries(chosen, tuple(subjects), stage)
    return Plan(manifest, chosen, root, tuple(held(entries, root)))


def held(entries: Iterable[FileEntry], root: Path | None) -> Iterable[PlannedFile]:
    """Each entry with the files under ``root`` that stand in its place."""
    listed: dict[str, frozenset[str]] = {}
    for entry in entries:
        yield PlannedFile(entry, tuple(_present(entry, root, listed)) if root else ())


def _present(
    entry: FileEntry, root: Path, listed: dict[str, frozenset[str]]
) -> Iterable[tuple[Path, int]]:
    """Files of an entry; each folder is listed once, as a manifest names thousands of files."""
    if entry.is_group:
        paths = sorted(root.glob(entry.path))
    else:
        folder, _, name = entry.path.rpartition("/")
        if folder not in listed:
            listed[folder] = _names(root / folder)
        paths = [root / entry.path] if name in listed[folder] else []
    for path in paths:
        if path.is_file():
            yield path, path.stat().st_size
        elif path.is_symlink():  # git-annex: a link to content that was not fetched
            yield path, 0


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def total(entries: Iterable[FileEntry]) -> Total:
    """Bytes of ``entries`` together."""
    sum_ = Total()
    for entry in entries:
        sum_ += entry
    return sum_


def commands(plan: Plan) -> list[str]:
    """Shell commands of the AWS tool that copy what is missing, where it comes from S3."""
    source = plan.manifest.source
    if not source.startswith("s3://"):
        return []
    sign = ["--no-sign-request"] if plan.manifest.anonymous else []
    target = plan.root or Path("DIR")
    found: list[list[str]] = []
    for folder, entries in _by_folder(plan.missing).items():
        if len(entries) <= _FEW and not any(entry.is_group for entry in entries):
            found += [
                ["cp", *sign, f"{source}/{entry.path}", str(target / entry.path)]
                for entry in entries
            ]
            continue
        names = dict.fromkeys(_pattern(plan.manifest, entry) for entry in entries)
        words = [word for name in names for word in ("--include", name)]
        place = [f"{source}/{folder}/", f"{target / folder}/"]
        found.append(["sync", *sign, *place, "--exclude", "*", *words])
    return [shlex.join(["aws", "s3", *words]) for words in found]


def _by_folder(entries: Iterable[FileEntry]) -> dict[str, list[FileEntry]]:
    folders: dict[str, list[FileEntry]] = {}
    for entry in entries:
        if "cocodataset.org" not in entry.note:
            folders.setdefault(entry.folder.split("*")[0].rstrip("/"), []).append(entry)
    return folders


def _pattern(manifest: Manifest, entry: FileEntry) -> str:
    """The name with ``*`` for the session, so that one word names them all."""
    if entry.is_group:
        return entry.path.removeprefix(entry.folder.split("*")[0].rstrip("/") + "/")
    name = manifest.templates[entry.id].path.rsplit("/", 1)[-1]
    return name.format(**{**entry.values, "session": "*"})


def human(count: float) -> str:
    """Bytes in words, decimal: ``491.5 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
