"""Algonauts 2023 and LAION-fMRI: the checks that hold their files against each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from neuroattn.data.array_files import open_npy
from neuroattn.data.manifests.content import nifti_form
from neuroattn.data.manifests.copy import CopiedFile, Copy, grouped
from neuroattn.data.manifests.findings import FETCH, Finding

_NUMBERS = re.compile(r"(?:train|test)-(\d+)_nsd-(\d+)")
_LAION_SESSION = re.compile(r"_(ses-\w+?)_")


def check_algonauts(copy: Copy, advance: Callable[[int], None]) -> list[Finding]:
    """Rows of responses against pictures, columns against masks, in every subject."""
    findings: list[Finding] = []
    for subject in copy.subjects():
        findings += _check_pictures(copy, subject)
        for side in copy.manifest.placeholders["side"]:
            findings += _check_responses(copy, subject, side)
        advance(1)
    return findings


def _check_pictures(copy: Copy, subject: str) -> Iterator[Finding]:
    for id_, key in (("training_images", "train_images"), ("test_images", "test_images")):
        files = copy.of(id_, subject=subject)
        due = copy.manifest.subjects[subject].get(key)
        folder = copy.manifest.templates[id_].path.format(subject=subject).rsplit("/", 1)[0]
        if files and due is not None and len(files) != due:
            yield Finding(folder, "pictures are missing", f"{due} pictures", str(len(files)))
        numbers = [match for file in files if (match := _NUMBERS.search(file.name))]
        ids = [int(match[2]) for match in sorted(numbers, key=lambda match: int(match[1]))]
        if ids != sorted(set(ids)) or [int(m[1]) for m in numbers] != list(
            range(1, len(numbers) + 1)
        ):
            yield Finding(
                folder,
                "pictures are not numbered in the order of their ids",
                "train-0001 and on, each nsd id once and ascending",
                "gaps or another order",
                "unpack the archive again",
            )


def _check_responses(copy: Copy, subject: str, side: str) -> Iterator[Finding]:
    file = copy.one("training_fmri", subject=subject, side=side)
    if file is None:
        if copy.of("training_images", subject=subject) and not copy.of(
            "training_fmri", subject=subject, side=side
        ):
            path = copy.manifest.templates["training_fmri"].path
            yield Finding(
                path.format(subject=subject, side=side),
                "a hemisphere is missing",
                "lh and rh",
                "no such file",
            )
        return
    responses = open_npy(file.path)
    pictures = len(copy.of("training_images", subject=subject))
    if responses.ndim != 2 or (pictures and len(responses) != pictures):
        yield Finding(
            file.name,
            "rows and pictures differ in number",
            f"{pictures} rows",
            str(responses.shape),
        )
        return
    bad = sum(
        int((~np.isfinite(responses[k : k + 256])).any(axis=1).sum())
        for k in range(0, len(responses), 256)
    )
    if bad:
        yield Finding(file.name, "responses are not finite", "numbers", f"{bad} rows with NaN")
    for mask in copy.sound_of("masks_challenge", subject=subject, side=side):
        length = open_npy(mask.path).size
        if length != responses.shape[1]:
            yield Finding(
                mask.name,
                "the mask has another length than the responses have columns",
                str(responses.shape[1]),
                str(length),
                f"{FETCH}: of this side",
            )
    whole = copy.one("vertices_fsaverage", subject=subject, side=side)
    if whole is not None and int((open_npy(whole.path) > 0).sum()) != responses.shape[1]:
        yield Finding(
            whole.name,
            "the vertices are not those of the responses",
            f"{responses.shape[1]} vertices",
            f"{int((open_npy(whole.path) > 0).sum())}",
            f"{FETCH}: of this subject and side",
        )


def check_laion(copy: Copy, advance: Callable[[int], None]) -> list[Finding]:
    """Trials of each session's betas against its table, and one grid in all sessions."""
    findings: list[Finding] = []
    for files in grouped(copy.sound_of("betas"), "subject").values():
        grids = {file.name: nifti_form(file.path)[0] for file in files}
        usual = max(grids.values(), key=list(grids.values()).count)[:3]
        for file in files:
            shape = grids[file.name]
            if shape[:3] != usual:
                findings.append(
                    Finding(file.name, "the betas have another grid", str(usual), str(shape[:3]))
                )
            findings += _check_trials(copy, file, shape)
            advance(1)
    return findings


def _check_trials(copy: Copy, file: CopiedFile, shape: tuple[int, ...]) -> Iterator[Finding]:
    session = _LAION_SESSION.search(file.name.rsplit("/", 1)[-1])
    folder = file.name.rsplit("/", 1)[0]
    tables = [each for each in copy.of("trials") if each.name.startswith(folder + "/")]
    if session is None or not tables:
        yield Finding(folder, "a session has betas and no table of trials", "…_trials.tsv", "none")
        return
    if tables[0].name not in copy.sound:
        return
    rows = len(tables[0].path.read_text(encoding="utf-8").splitlines()) - 1
    if len(shape) != 4 or rows != shape[3]:
        yield Finding(
            tables[0].name,
            "the table has another number of trials than the betas",
            str(shape[3] if len(shape) == 4 else shape),
            str(rows),
        )
