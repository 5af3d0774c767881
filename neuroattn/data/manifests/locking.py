"""``neuroattn data lock``: verify a copy, then record its digests."""

from __future__ import annotations

from pathlib import Path

from neuroattn.data.manifests.copy import CopiedFile
from neuroattn.data.manifests.findings import Finding
from neuroattn.data.manifests.lock import (
    Digest,
    Lock,
    digests,
    lock_path,
    read_lock,
    write_lock,
)
from neuroattn.data.manifests.plan import held
from neuroattn.data.manifests.verify import copied, manifest_of, verify


def lock(
    name: str,
    root: Path,
    *,
    path: Path | None = None,
    subset: str | None = None,
    subjects: tuple[str, ...] = (),
    renew: bool = False,
    check: bool = True,
    workers: int = 2,
) -> tuple[Path, int, tuple[Finding, ...]]:
    """Write the lock of the copy in ``root``; returns it, its number of files, and findings.

    With findings nothing is written: a damaged file must not become the truth. An earlier
    lock is kept and added to; a file that differs from it is a finding unless ``renew``.
    """
    target = path or lock_path(root, name)
    before = read_lock(target) if target.is_file() else Lock(name, {})
    if check:
        report = verify(name, root, subset=subset, subjects=subjects, workers=workers)
        if report.findings:
            return target, 0, report.findings
    manifest = manifest_of(name, root)
    chosen = manifest.subset(subset) if subset else None
    files = [*copied(held(manifest.entries(chosen, subjects), root), root)]
    found = digests(files, workers)
    changed = () if renew else _changed(before, files, found)
    if changed:
        return target, 0, changed
    write_lock(target, name, {**before.files, **found})
    return target, len(found), ()


def _changed(
    before: Lock, files: list[CopiedFile], found: dict[str, Digest]
) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            file.name,
            "the file differs from its lock",
            before.files[file.name].sha256,
            found[file.name].sha256,
            "fetch it again; if it was replaced on purpose, repeat with --renew",
        )
        for file in files
        if file.name in before.files and before.files[file.name] != found[file.name]
    )
