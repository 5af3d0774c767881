"""NSD, real or simulated: the checks that hold its files against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from neuroattn.core.errors import NeuroattnError
from neuroattn.core.fingerprint import file_digest
from neuroattn.data.manifests.copy import CopiedFile, Copy, grouped
from neuroattn.data.manifests.findings import FETCH, Finding, finding_of
from neuroattn.data.manifests.nsd_betas import check_group
from neuroattn.data.manifests.nsd_design import read_tables
from neuroattn.data.manifests.scan import betas_form
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.maps import read_labels
from neuroattn.data.nsd.rois import read_ctab

_BETAS = {
    "betas_fsaverage": "ncsnr_fsaverage",
    "betas_func1pt8mm": "ncsnr_func1pt8mm",
    "betas_func1pt8mm_hdf5": "ncsnr_func1pt8mm",
    "betas_func1mm": "ncsnr_func1mm",
    "betas_func1mm_hdf5": "ncsnr_func1mm",
    "betas_nativesurface": "ncsnr_nativesurface",
}
SCANNED = frozenset(_BETAS)  # read through here, so that nobody else need inflate them
_VOLUME_LABELS = ("rois_func1pt8mm", "rois_func1mm")


def check_nsd(copy: Copy, advance: Callable[[int], None]) -> list[Finding]:
    """Every finding about tables, betas, ncsnr and labels that are there."""
    known = read_tables(copy)
    findings = [*known.findings, *_check_present(copy), *_check_labels(copy), *_check_twins(copy)]
    design = copy.manifest.templates["expdesign"].path
    for id_, ncsnr_id in _BETAS.items():
        for (subject, version), files in grouped(copy.of(id_), "subject", "version").items():
            ncsnr = copy.sound_of(ncsnr_id, subject=subject, version=version)
            findings += check_group(copy, files, ncsnr, known, design)
            advance(len(files))
    return findings


def _check_present(copy: Copy) -> Iterator[Finding]:
    """What betas cannot be read without."""
    betas = copy.of(*_BETAS)
    if not betas:
        return
    for id_, what in (("expdesign", "the design"), ("stimuli", "the pictures")):
        if not copy.of(id_):
            yield _missing(copy.manifest.templates[id_].path, what)
    for (id_, subject, version), files in _by_preparation(betas).items():
        ncsnr_id = _BETAS[id_]
        sides = {file.entry.values.get("side") for file in files}
        there = {
            file.entry.values.get("side")
            for file in copy.of(ncsnr_id, subject=subject, version=version)
        }
        for side in sorted(sides - there, key=str):
            path = copy.manifest.templates[ncsnr_id].path
            values = {"subject": subject, "version": version, "side": side or ""}
            yield _missing(path.format(**values), "ncsnr")


def _by_preparation(betas: list[CopiedFile]) -> dict[tuple[str, str, str], list[CopiedFile]]:
    groups: dict[tuple[str, str, str], list[CopiedFile]] = {}
    for file in betas:
        values = file.entry.values
        groups.setdefault((file.entry.id, values["subject"], values["version"]), []).append(file)
    return groups


def _missing(path: str, what: str) -> Finding:
    return Finding(path, f"{what} is missing", "a file", "nothing", FETCH)


def _check_labels(copy: Copy) -> Iterator[Finding]:
    """Label files: whole numbers, the size of their space, both sides, a name for each label."""
    for owner_id, ctab_id in (
        ("labels_fsaverage", "ctab_fsaverage"),
        ("labels_subject", "ctab_subject"),
    ):
        collection = "atlas" if owner_id == "labels_fsaverage" else "collection"
        files = copy.of(owner_id)
        for key, pair in grouped(files, "subject", collection).items():
            yield from _check_pair(copy, pair)
            ctabs = copy.of(ctab_id, subject=key[0]) if key[0] else copy.of(ctab_id)
            ctab = next((f for f in ctabs if f.entry.values[collection] == key[1]), None)
            name = copy.manifest.templates[ctab_id].path.format(
                **{"subject": key[0], collection: key[1]}
            )
            yield from _check_names(copy, pair, ctab, name)
    for file in copy.sound_of(*_VOLUME_LABELS, *(f"{id_}_sides" for id_ in _VOLUME_LABELS)):
        yield from _check_volume(copy, file)


def _check_pair(copy: Copy, pair: list[CopiedFile]) -> Iterator[Finding]:
    sides = {file.entry.values["side"]: file for file in pair}
    if len(sides) == 1:
        side, file = next(iter(sides.items()))
        other = layout.HEMISPHERES[side == "lh"]
        yield _missing(file.name.replace(f"/{side}.", f"/{other}."), "the other hemisphere")
    for file in pair:
        if file.name in copy.sound:
            yield from _check_size(copy, file)


def _check_size(copy: Copy, file: CopiedFile) -> Iterator[Finding]:
    """The places of a label file against those of betas on the same surface."""
    try:
        labels = read_labels(file.path, None)
    except NeuroattnError as error:
        yield finding_of(file.name, error)
        return
    values = file.entry.values
    space = "fsaverage" if file.entry.id == "labels_fsaverage" else "nativesurface"
    where = {"subject": values["subject"]} if space == "nativesurface" else {}
    betas = next(iter(copy.sound_of(f"betas_{space}", side=values["side"], **where)), None)
    due = betas_form(betas.path, betas.entry.format)[0] if betas else len(labels)
    if len(labels) != due:
        yield Finding(
            file.name,
            "the labels have other places than the betas",
            str(due),
            str(len(labels)),
            "fetch the labels of this subject and hemisphere",
        )
    if labels.min() < layout.UNLABELLED:
        yield Finding(file.name, "surface labels below 0", "0 and up", str(labels.min()))


def _check_names(
    copy: Copy, pair: list[CopiedFile], ctab: CopiedFile | None, name: str
) -> Iterator[Finding]:
    present: set[int] = set()
    for file in pair:
        if file.name in copy.sound:
            try:
                present |= set(np.unique(read_labels(file.path, None)).tolist())
            except NeuroattnError:
                return
    regions = sorted(label for label in present if label > layout.UNLABELLED)
    if ctab is None and len(regions) > 1:
        yield _missing(name, "the table of label names")
    elif ctab is not None and ctab.name in copy.sound:
        absent = [label for label in regions if label not in read_ctab(ctab.path)]
        if absent:
            yield Finding(
                ctab.name,
                "labels have no name",
                f"names of {regions}",
                f"none of {absent}",
                "fetch the table of this collection",
            )


def _check_volume(copy: Copy, file: CopiedFile) -> Iterator[Finding]:
    try:
        labels = read_labels(file.path, None)
    except NeuroattnError as error:
        yield finding_of(file.name, error)
        return
    space = file.entry.id.removeprefix("rois_").removesuffix("_sides")
    subject = file.entry.values["subject"]
    betas = copy.sound_of(f"betas_{space}", f"betas_{space}_hdf5", subject=subject)
    due = betas_form(betas[0].path, betas[0].entry.format)[0] if betas else len(labels)
    if len(labels) != due:
        yield Finding(
            file.name,
            "the labels have other places than the betas",
            str(due),
            str(len(labels)),
            "fetch the labels of this subject and space",
        )
    if labels.min() != layout.OUTSIDE:
        yield Finding(
            file.name,
            "no voxel is marked as outside the cortex",
            "-1, 0, 1 …",
            f"{labels.min()} and up",
            "fetch the label volume of NSD again",
        )


def _check_twins(copy: Copy) -> Iterator[Finding]:
    """One file saved under both hemispheres' names, or under two subjects'."""
    ids = [id_ for id_ in copy.manifest.templates if id_.startswith(("labels_", "ncsnr_"))]
    digests: dict[tuple[str, str], CopiedFile] = {}
    for file in copy.sound_of(*ids):
        key = (file.entry.id, file_digest(file.path))
        first = digests.setdefault(key, file)
        sides = {first.entry.values.get("side"), file.entry.values.get("side")}
        apart = first.entry.values.get("subject") != file.entry.values.get("subject")
        if first is not file and (len(sides) > 1 or apart) and _says_something(file):
            yield Finding(
                file.name,
                "the file equals that of another hemisphere or subject",
                "a file of its own",
                f"the content of {first.name}",
            )


def _says_something(file: CopiedFile) -> bool:
    """Maps of one value throughout are rightly alike."""
    try:
        labels = read_labels(file.path, None)
    except NeuroattnError:
        return True
    return bool((labels != labels[0]).any())
