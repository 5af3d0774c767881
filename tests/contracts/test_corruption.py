"""The corruption set: `data verify` names every damaged file, and after a lock none passes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from neuroattn.data.manifests.findings import Finding
from neuroattn.data.manifests.lock import Lock, read_lock
from neuroattn.data.manifests.locking import lock
from neuroattn.data.manifests.verify import verify
from tests.contracts import corruptions_betas, corruptions_tables  # noqa: F401 (they fill the set)
from tests.contracts.corruptions import FILES, FLIPPED, SET, flip
from tests.nsd_copy import clone, write_copy

Clone = Callable[[], Path]
# A share of the set for every run of the tests; the whole of it is slow.
QUICK = [
    "fsaverage betas (mgh): cut in half",
    "volume betas (nii.gz): HTML page",
    "stimuli (hdf5): Git LFS pointer",
    "mgh betas: sessions swapped",
    "volume hdf5 betas: trials permuted",
    "fsaverage: hemispheres of all sessions swapped",
    "behaviour: another subject's",
    "labels: the table of names missing",
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lock]:
    """A sound copy of NSD, and its lock."""
    root = write_copy(tmp_path_factory.mktemp("sound") / "nsd")
    path, count, findings = lock("nsd", root, path=root.parent / "lock.json")
    assert not findings
    assert count > 50
    return root, read_lock(path)


@pytest.fixture
def cloned(sound: tuple[Path, Lock], tmp_path: Path) -> Iterator[Clone]:
    """Fresh clones of the sound copy."""
    numbers = itertools.count()
    return lambda: clone(sound[0], tmp_path / str(next(numbers)))  # type: ignore[return-value]


def _named(findings: tuple[Finding, ...], root: Path, hit: list[Path]) -> list[Finding]:
    names = {path.relative_to(root).as_posix() for path in hit}
    return [finding for finding in findings if finding.file in names]


def _missed(name: str, root: Path, locked: Lock) -> list[str]:
    """What verify failed to say about one corruption, before and after the lock."""
    hit = SET[name](root)
    missed = []
    for when, options in (("before", {}), ("after", {"lock": locked, "structure": False})):
        findings = verify("nsd", root, **options).findings
        named = _named(findings, root, hit)
        if when == "after" and not any(path in _changed(root, locked) for path in hit):
            named = list(findings)  # the damage lies in another file than the one to mend
        if not named or not all(finding.remedy and finding.expected for finding in named):
            missed.append(f"{name}, {when} the lock: {[finding.file for finding in findings]}")
    return missed


def _changed(root: Path, locked: Lock) -> list[Path]:
    findings = verify("nsd", root, lock=locked, structure=False).findings
    return [root / finding.file for finding in findings]


def test_a_sound_copy_has_no_finding(sound: tuple[Path, Lock]) -> None:
    root, locked = sound
    assert verify("nsd", root).findings == ()
    assert verify("nsd", root, lock=locked, structure=False).findings == ()


@pytest.mark.parametrize("name", QUICK)
def test_a_corruption_is_named(name: str, cloned: Clone, sound: tuple[Path, Lock]) -> None:
    assert not _missed(name, cloned(), sound[1])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_corruption_is_named(
    cloned: Clone, sound: tuple[Path, Lock], capsys: pytest.CaptureFixture[str]
) -> None:
    missed = [text for name in SET for text in _missed(name, cloned(), sound[1])]
    with capsys.disabled():
        print(f"\ncorruptions named: {len(SET) - len(missed)} of {len(SET)}")
    assert len(SET) >= 60
    assert not missed


@pytest.mark.parametrize("name", FLIPPED)
def test_no_flipped_bit_passes_a_lock(name: str, cloned: Clone, sound: tuple[Path, Lock]) -> None:
    root = cloned()
    path = FILES[name](root)
    whole = path.read_bytes()
    for share in (0.0, 0.37, 0.999):
        flip(path, share)
        findings = verify("nsd", root, lock=sound[1], structure=False).findings
        assert [finding.file for finding in findings] == [path.relative_to(root).as_posix()]
        path.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["volume betas (nii.gz)", "ncsnr (nii.gz)", "labels (mgz)"])
def test_a_gzip_stream_tells_before_the_lock(name: str, cloned: Clone) -> None:
    root = cloned()
    path = FILES[name](root)
    flip(path, 0.6)
    findings = verify("nsd", root).findings
    assert path.relative_to(root).as_posix() in [finding.file for finding in findings]
