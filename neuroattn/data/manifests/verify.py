"""``neuroattn data verify``: whether the copy on this machine is what the dataset is.

Before a lock the structure is checked: each file by its own form, then files against each
other. After a lock every file is held against the SHA-256 recorded for it, so that any flipped
bit is found. Nothing is changed and nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from neuroattn.core.errors import MissingDataError
from neuroattn.core.progress import Progress
from neuroattn.data.manifests.content import check_content
from neuroattn.data.manifests.copy import CopiedFile, Copy
from neuroattn.data.manifests.findings import Finding
from neuroattn.data.manifests.load import load_manifest
from neuroattn.data.manifests.lock import Lock, compare
from neuroattn.data.manifests.nsd_checks import SCANNED, check_nsd
from neuroattn.data.manifests.other_checks import check_algonauts, check_laion
from neuroattn.data.manifests.plan import PlannedFile, held
from neuroattn.data.manifests.schema import UNKNOWN, Manifest
from neuroattn.data.nsd import layout

_RELATIONS: dict[str, Callable[[Copy, Callable[[int], None]], list[Finding]]] = {
    "nsd": check_nsd,
    "simulated": check_nsd,
    "algonauts2023": check_algonauts,
    "laion_fmri": check_laion,
}


@dataclass(frozen=True)
class Report:
    """What `verify` found: ``files`` and ``bytes`` were looked at, ``locked`` of them by digest."""

    files: int
    bytes: int
    locked: int
    findings: tuple[Finding, ...] = field(default=())


def verify(
    name: str,
    root: Path,
    *,
    subset: str | None = None,
    subjects: tuple[str, ...] = (),
    lock: Lock | None = None,
    structure: bool = True,
    workers: int = 2,
) -> Report:
    """Check the copy of dataset ``name`` in ``root``.

    Parameters
    ----------
    subset : also demand every needed file of this subset.
    subjects : look at these alone; at all that are there without names.
    lock : hold the files against these digests; the structure of files that are not in it is
        checked as without one.
    structure : check the structure of locked files as well.

    Raises
    ------
    MissingDataError : the folder is not there, or holds no file of the dataset.
    """
    manifest = manifest_of(name, root)
    planned = [*held(manifest.entries(manifest.subset(subset) if subset else None, subjects), root)]
    files = tuple(copied(planned, root))
    if not files:
        raise MissingDataError(
            f"the folder holds no file of {manifest.title}", file=root,
            expected=f"{next(iter(manifest.templates.values())).path} and others",
            found="none of them", fix=f"correct --root; `neuroattn data plan {name}` lists files",
        )  # fmt: skip
    findings = _absent(planned) if subset else []
    by_digest = frozenset(lock.files) if lock else frozenset[str]()
    if lock:
        findings += compare(lock, root, files, workers, whole=not subset and not subjects)
    open_files = tuple(file for file in files if structure or file.name not in by_digest)
    findings += _structure(Copy(root, manifest, open_files, frozenset()), workers)
    locked = sum(file.name in by_digest for file in files)
    size = sum(file.path.stat().st_size for file in files if file.path.is_file())
    return Report(len(files), size, locked, _each_once(findings))


def manifest_of(name: str, root: Path) -> Manifest:
    """The manifest ``name``; with free sizes where the folder says that it is a simulation."""
    if layout.simulation(root) is None:
        return load_manifest(name)
    if name == "nsd":
        return load_manifest("simulated")
    manifest = load_manifest(name)
    rows = {id_: replace(row, shape=UNKNOWN) for id_, row in manifest.templates.items()}
    return replace(manifest, templates=rows, subjects={each: {} for each in manifest.subjects})


def copied(planned: Iterable[PlannedFile], root: Path) -> Iterable[CopiedFile]:
    """Files that are there, each once."""
    seen: set[Path] = set()
    for file in planned:
        for path, _ in file.present:
            if path not in seen:
                seen.add(path)
                yield CopiedFile(file.entry, path, path.relative_to(root).as_posix())


def _absent(planned: Iterable[PlannedFile]) -> list[Finding]:
    return [
        Finding(file.entry.path, "a file of the subset is missing", "a file", "nothing")
        for file in planned
        if file.is_missing and file.entry.needed
    ]


def _structure(copy: Copy, workers: int) -> list[Finding]:
    """Each file by itself, then those that are sound against each other."""
    relate = _RELATIONS.get(copy.manifest.name)
    scanned = SCANNED if relate is check_nsd else frozenset[str]()

    def check(file: CopiedFile) -> list[Finding]:
        # Betas are read through below; inflating them twice would double the time.
        through = file.entry.id not in scanned
        return check_content(file.path, file.entry, file.name, through=through)

    findings: list[Finding] = []
    sound: set[str] = set()
    with Progress("files", len(copy.files)) as progress, ThreadPoolExecutor(workers) as pool:
        for file, found in zip(copy.files, pool.map(check, copy.files), strict=True):
            findings += found
            sound |= set() if found else {file.name}
            progress.advance()
    if relate is not None:
        betas = sum(file.entry.id in scanned for file in copy.files)
        with Progress("files against each other", betas or None) as progress:
            whole = Copy(copy.root, copy.manifest, copy.files, frozenset(sound))
            findings += relate(whole, progress.advance)
    return findings


def _each_once(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys(findings))
