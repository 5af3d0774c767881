"""Checks of NSD's betas: form, trials, sessions without data, and files in each other's place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import NeuroattnError
from neuroattn.data.manifests import repeats
from neuroattn.data.manifests.content import DAMAGE
from neuroattn.data.manifests.copy import CopiedFile, Copy
from neuroattn.data.manifests.findings import FETCH, Finding, finding_of
from neuroattn.data.manifests.nsd_design import Known
from neuroattn.data.manifests.scan import Scan, betas_form, is_absurd, scan
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.maps import read_map
from neuroattn.data.volumes import open_image

Ids = NDArray[np.int64]
SAMPLE = 384  # places on which resemblance is judged
_EMPTY_SHARE = 0.1  # of a session's places that lack data which other sessions have
_AGREES, _STEADY = 0.5, 0.5  # correlation of ncsnr maps; of those from two halves of the images
_LEAST_SIGNAL = 0.02
_BOTH = "exchange the two names, or fetch both files again"


@dataclass
class Part:
    """The betas of one side (or the volume) of one preparation: a file per session."""

    side: str
    files: dict[int, CopiedFile]
    ncsnr_file: CopiedFile | None = None
    places: int = 0
    ncsnr: NDArray[np.float32] | None = None
    sample: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    scans: dict[int, Scan] = field(default_factory=dict)
    ids: dict[int, Ids] = field(default_factory=dict)

    def judged(self) -> list[int]:
        """Sessions whose values and images are known."""
        return [session for session in self.scans if session in self.ids]


def check_group(
    copy: Copy, files: list[CopiedFile], ncsnr: list[CopiedFile], known: Known, design_name: str
) -> list[Finding]:
    """Findings about all sessions of one subject, space and version."""
    parts = _parts(files, ncsnr)
    found = [*_check_sessions(parts), *_check_forms(copy, parts, known)]
    for part in parts.values():
        found += _read_ncsnr(part)
        part.sample = _choose(part)
    for part in parts.values():
        found += _scan_all(part, _other(parts, part))
        found += _check_empty(part)
    for part in parts.values():
        found += _check_repeats(part, _other(parts, part), known, design_name)
    return found


def _parts(files: list[CopiedFile], ncsnr: list[CopiedFile]) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    for file in files:
        side = file.entry.values.get("side", "")
        part = parts.setdefault(side, Part(side, {}))
        part.files[file.entry.session or 0] = file
    for file in ncsnr:
        side = file.entry.values.get("side", "")
        if side in parts:
            parts[side].ncsnr_file = file
    return parts


def _other(parts: dict[str, Part], part: Part) -> Part | None:
    """The other hemisphere, where its places have the same numbers."""
    other = next((each for side, each in parts.items() if side != part.side), None)
    return other if other is not None and other.places == part.places else None


def _check_sessions(parts: dict[str, Part]) -> Iterator[Finding]:
    """Sessions end early in older releases; one missing in between, or on one side, is a loss."""
    last = max(max(part.files) for part in parts.values())
    for part in parts.values():
        example = next(iter(part.files.values()))
        for session in range(1, last + 1):
            if session not in part.files:
                name = _of_session(example, session)
                yield Finding(
                    name, f"session {session} is missing", f"sessions 1 to {last}", "no such file"
                )
    if set(parts) in ({"lh"}, {"rh"}):
        side = next(iter(parts))
        other = layout.HEMISPHERES[side == "lh"]
        for file in parts[side].files.values():
            name = file.name.replace(f"/{side}.", f"/{other}.")
            yield Finding(name, "a hemisphere is missing", "lh and rh", f"{side} alone")


def _of_session(file: CopiedFile, session: int) -> str:
    mine = f"session{file.entry.values['session']}"
    return file.name.replace(mine, f"session{session:02d}")


def _check_forms(copy: Copy, parts: dict[str, Part], known: Known) -> Iterator[Finding]:
    """Places equal in all sessions, and as many trials as were shown; odd files are set aside."""
    for part in parts.values():
        forms = {}
        for session, file in list(part.files.items()):
            if file.name not in copy.sound:
                del part.files[session]
                continue
            try:
                forms[session] = betas_form(file.path, file.entry.format)
            except DAMAGE as error:
                del part.files[session]
                yield Finding(
                    file.name, "the betas cannot be read", "an array of betas", str(error)
                )
        if forms:
            part.places = Counter(places for places, _ in forms.values()).most_common(1)[0][0]
            yield from _check_form(part, forms, known)


def _check_form(part: Part, forms: dict[int, tuple[int, int]], known: Known) -> Iterator[Finding]:
    usual = Counter(trials for _, trials in forms.values()).most_common(1)[0][0]
    for session, (places, trials) in forms.items():
        file = part.files[session]
        subject = file.entry.values["subject"]
        due = known.trials(subject, session)
        due = usual if due is None else due
        if places != part.places:
            yield Finding(
                file.name,
                "the betas have other places than the other sessions",
                f"{part.places} places",
                str(places),
                "fetch the file of this subject and space",
            )
        elif trials != due:
            yield Finding(
                file.name,
                "the session has another number of trials",
                f"{due}, by the design and the behaviour",
                str(trials),
                "fetch the betas, the design and the behaviour of one release",
            )
        elif (scale := _scale(file.path)) is not None:
            yield Finding(file.name, "the header scales the values", "no scale", scale)
        else:
            shown = known.shown(subject, session, trials)
            if shown is not None:
                part.ids[session] = shown
            continue
        del part.files[session]


def _scale(path: Path) -> str | None:
    """The factor of a NIfTI header, which would be applied beside the 300."""
    if not path.name.endswith((".nii", ".nii.gz")):
        return None
    with open_image(path) as image:  # its header forgets the factor, its proxy does not
        slope, inter = float(image.dataobj.slope), float(image.dataobj.inter)
    return (
        None if (slope, inter) == (1.0, 0.0) else f"a factor of {slope:g}, an offset of {inter:g}"
    )


def _read_ncsnr(part: Part) -> Iterator[Finding]:
    file = part.ncsnr_file
    if file is None or not part.places:
        return
    try:
        values = read_map(file.path, None)
    except NeuroattnError as error:
        yield finding_of(file.name, error)
        return
    finite = values[np.isfinite(values)]
    if len(values) != part.places:
        yield Finding(
            file.name,
            "the map has other places than the betas",
            str(part.places),
            str(len(values)),
            "fetch ncsnr of this subject and space",
        )
    elif not finite.size or finite.min() < 0 or not finite.max() > 0:
        yield Finding(
            file.name,
            "the map is not of ncsnr",
            "values from 0 up",
            f"{finite.min():g} to {finite.max():g}" if finite.size else "NaN",
        )
    else:
        part.ncsnr = values


def _choose(part: Part) -> Ids:
    """Places: half of them where ncsnr is highest, half evenly over its ranks."""
    if part.ncsnr is None:
        return np.unique(np.linspace(0, max(0, part.places - 1), 4 * SAMPLE).astype(np.int64))
    valid = np.flatnonzero(np.isfinite(part.ncsnr) & (part.ncsnr > 0))
    ranked = valid[np.argsort(part.ncsnr[valid], kind="stable")]
    even = ranked[np.linspace(0, len(ranked) - 1, min(SAMPLE // 2, len(ranked))).astype(np.int64)]
    return np.unique(np.concatenate([ranked[-(SAMPLE // 2) :], even]))


def _scan_all(part: Part, other: Part | None) -> Iterator[Finding]:
    wanted = (part.sample, *((other.sample,) if other else ()))
    for session, file in list(part.files.items()):
        try:
            result = scan(file.path, file.entry.format, wanted)
        except DAMAGE as error:
            yield Finding(file.name, "the file is cut off or damaged", "a whole file", str(error))
            continue
        if is_absurd(result):
            yield Finding(
                file.name,
                "the values cannot be betas: their bytes are swapped, or damaged",
                "% signal change, big-endian",
                f"{result.absurd:.0%} of values absurd",
            )
            continue
        part.scans[session] = result


def _check_empty(part: Part) -> Iterator[Finding]:
    if not part.scans:
        return
    usually = np.mean([each.empty for each in part.scans.values()], axis=0) > 0.5
    for session, each in list(part.scans.items()):
        lost = each.empty & ~usually
        share = lost.sum() / max(1, int((~usually).sum()))
        if each.empty.all() or share > _EMPTY_SHARE:
            kind = "NaN" if each.nan[lost | each.empty].any() else "zeros"
            yield Finding(
                part.files[session].name,
                "the session has no data at places that others have",
                f"data at {int((~usually).sum())} places",
                f"{kind} at {int((lost | each.empty).sum() if usually.all() else lost.sum())}",
            )
            del part.scans[session]


@dataclass(frozen=True)
class _Judgement:
    """Sessions of a part, which of them do not fit the others, and how alike the others are."""

    sessions: list[int]
    suspect: NDArray[np.bool_]
    typical: float

    @property
    def trusted(self) -> list[int]:
        """Sessions that fit each other."""
        return [s for s, bad in zip(self.sessions, self.suspect, strict=True) if not bad]


def _check_repeats(
    part: Part, other: Part | None, known: Known, design_name: str
) -> Iterator[Finding]:
    sessions = part.judged()
    if not sessions:
        return
    shapes = [repeats.patterns(part.scans[s].samples[0]) for s in sessions]
    found = repeats.resemblance(shapes, [part.ids[s] for s in sessions])
    if not repeats.is_there(found):
        yield from _nowhere(part, found, design_name)
        return
    suspect = repeats.suspects(found)
    typical = float(np.median([found.of(int(k), ~suspect)[0] for k in np.flatnonzero(~suspect)]))
    judged = _Judgement(sessions, suspect, typical)
    for session in sorted(set(sessions) - set(judged.trusted)):
        yield _misplaced(part, other, known, judged, session)
    yield from _check_ncsnr(part, other, judged.trusted)


def _nowhere(part: Part, found: repeats.Resemblance, design_name: str) -> Iterator[Finding]:
    """No session resembles another: then what all share is wrong, if ncsnr promises a signal."""
    if part.ncsnr is None or part.ncsnr_file is None:
        return
    snr = part.ncsnr[part.sample].astype(np.float64) ** 2
    due = float(np.nanmean(snr / (1 + snr)))
    mean, error, count = found.overall()
    if due > _LEAST_SIGNAL and count >= 30 and due - mean > 4 * error and mean < due / 3:
        folder = next(iter(part.files.values())).entry.folder
        yield Finding(
            design_name,
            f"trials of one image do not resemble each other in {folder}",
            f"a correlation of about {due:.2f}, by {part.ncsnr_file.name}",
            f"{mean:.3f} over {count} pairs",
            "fetch the design, the betas and ncsnr of one release and subject",
        )


def _misplaced(
    part: Part, other: Part | None, known: Known, judged: _Judgement, session: int
) -> Finding:
    """What a session that does not fit holds instead."""
    name = part.files[session].name
    if other is not None and _is_of_side(part, other, session, judged):
        return Finding(
            name,
            "the betas are those of the other hemisphere",
            part.side,
            f"{other.side}, by the resemblance of repeats",
            _BOTH,
        )
    actual = _other_session(part, known, judged, session)
    if actual is not None:
        return Finding(
            name,
            "the betas are those of another session",
            f"session {session}",
            f"session {actual}, by the resemblance of repeats",
            _BOTH,
        )
    return Finding(
        name,
        "trials of one image do not resemble those of other sessions",
        f"a correlation of about {judged.typical:.2f}",
        "none beyond chance",
        f"{FETCH}; its trials are in another order, or it is another subject's",
    )


def _other_session(part: Part, known: Known, judged: _Judgement, session: int) -> int | None:
    """The session whose images a file fits, if there is one."""
    mine = repeats.patterns(part.scans[session].samples[0])
    shapes = [repeats.patterns(part.scans[s].samples[0]) for s in judged.trusted]
    shown = [part.ids[s] for s in judged.trusted]
    subject = part.files[session].entry.values["subject"]
    for candidate in range(1, max(*judged.sessions, *part.files) + 1):
        ids = known.shown(subject, candidate, len(mine))
        if candidate == session or ids is None:
            continue
        if repeats.fits(mine, ids, shapes, shown, judged.typical):
            return candidate
    return None


def _is_of_side(part: Part, other: Part, session: int, judged: _Judgement) -> bool:
    """Whether a file fits the other hemisphere's sessions at that hemisphere's places."""
    common = [s for s in judged.trusted if s in other.scans and s in other.ids]
    if not common:
        return False
    shapes = [repeats.patterns(other.scans[s].samples[0]) for s in common]
    mine = repeats.patterns(part.scans[session].samples[1])
    shown = [other.ids[s] for s in common]
    return repeats.fits(mine, part.ids[session], shapes, shown, judged.typical)


def _check_ncsnr(part: Part, other: Part | None, sessions: list[int]) -> Iterator[Finding]:
    """Recomputed against supplied ncsnr: tells whole hemispheres, versions and subjects apart."""
    if part.ncsnr is None or part.ncsnr_file is None or len(sessions) < 2:
        return
    ids = [part.ids[s] for s in sessions]
    values = [part.scans[s].samples[0] for s in sessions]
    half = np.arange(repeats.repeated_images(ids)) % 2 == 0
    halves = [repeats.ncsnr(values, ids, images) for images in (half, ~half)]
    if half.sum() < 10 or repeats.correlation(*halves) < _STEADY:
        return  # too few repeats here to tell
    computed = repeats.ncsnr(values, ids)
    agreement = repeats.correlation(computed, part.ncsnr[part.sample])
    if agreement >= _AGREES:
        return
    whose = "another map"
    if other is not None and other.ncsnr is not None:
        crossed = repeats.correlation(computed, other.ncsnr[part.sample])
        if crossed >= _AGREES:
            whose = f"that of {other.side} (correlation {crossed:.2f})"
    yield Finding(
        part.ncsnr_file.name,
        "ncsnr does not belong to these betas",
        "the ncsnr recomputed from repeats (correlation near 1)",
        f"correlation {agreement:.2f}; it fits {whose}",
        "hemispheres, versions or subjects are exchanged: fetch ncsnr and betas again",
    )
