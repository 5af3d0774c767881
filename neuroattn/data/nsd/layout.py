"""Every file name, key, type and number convention of NSD, in one place.

What reads NSD, writes a simulation of it or lists its files asks here, so a name is stated
once. Plain strings and paths only, since plans are made before anything heavy is imported.
Spaces, versions and trial sets go by the values of the enums in `neuroattn.data.registry`.

Conventions of the files, all of them undone inside this package and nowhere else:

- ids in ``nsd_expdesign.mat`` and ``responses.tsv`` count from 1; ``nsdId`` in the stimulus
  table, the rows of ``imgBrick`` and everything in this code count from 0.
- Betas in volumes and on native surfaces are int16, 300 units to 1 % signal change; on
  fsaverage they are big-endian float32 in % signal change already.
- An HDF5 file has the axes of its NIfTI twin in reverse order: trials first.
- A label volume holds -1 outside the cortex, 0 on cortex without a label, and 1, 2 … for
  regions; a surface label file holds 0 and 1, 2 … .
- The left hemisphere stands before the right.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

HEMISPHERES = ("lh", "rh")
VOLUMES = ("func1pt8mm", "func1mm")
SURFACES = ("fsaverage", "nativesurface")
SPACES = (*VOLUMES, *SURFACES)
FSAVERAGE = "fsaverage"
VOXEL_MM = {"func1pt8mm": 1.8, "func1mm": 1.0}
TR_SECONDS = {"func1pt8mm": 4 / 3, "func1mm": 1.0}  # what the headers of betas say

DEGREES = 8.4  # visual angle of a picture's side
_TERMS = "NSD Terms and Conditions; images under the terms of COCO; no redistribution"
_OUR_TERMS = "MIT (neuroattn); photographs in the scenes under the terms of their packages"

VERSIONS = {
    "b1": "betas_assumehrf",
    "b2": "betas_fithrf",
    "b3": "betas_fithrf_GLMdenoise_RR",
}
CORE, SYNTHETIC, IMAGERY, IMAGERY_SEEN = "core", "synthetic", "imagery", "imagery_seen"

# Not every space has every version: b1 was left out of func1mm to save space, and the two
# later experiments were never estimated with an assumed response shape.
VERSIONS_IN = {
    "func1pt8mm": ("b1", "b2", "b3"),
    "func1mm": ("b2", "b3"),
    "fsaverage": ("b1", "b2", "b3"),
    "nativesurface": ("b1", "b2", "b3"),
}
EXPERIMENT_VERSIONS = ("b2", "b3")

# The order is that of preference where a session is there twice: a NIfTI volume is read
# through once from its start, while the HDF5 chunks of NSD hold one voxel and all trials.
FORMATS = {
    "func1pt8mm": ("nifti", "hdf5"),
    "func1mm": ("nifti", "hdf5"),
    "fsaverage": ("mgh",),
    "nativesurface": ("hdf5",),
}
SUFFIXES = {"nifti": ".nii.gz", "hdf5": ".hdf5", "mgh": ".mgh"}

BETAS_KEY = "betas"
STIMULI_KEY = "imgBrick"
BETAS_SCALE = 300
BETAS_DTYPE = "int16"  # volumes and native surfaces
FSAVERAGE_DTYPE = ">f4"
STIMULI_DTYPE = "uint8"
N_STIMULI = 73_000
STIMULUS_SIDE = 425  # pixels
FSAVERAGE_VERTICES = 163_842  # per hemisphere

# Sessions that each subject completed. Readers count files; this alone tells which of the
# shared images all eight subjects had seen three times (515 of them).
SESSIONS = (40, 40, 32, 30, 40, 32, 40, 30)

FIRST_ID = 1  # of ids in the design and the behaviour
OUTSIDE, UNLABELLED = -1, 0  # in label volumes

EXPDESIGN_KEYS = ("basiccnt", "masterordering", "sharedix", "stimpattern", "subjectim")
RESPONSES_COLUMNS = ("SUBJECT", "SESSION", "RUN", "TRIAL", "73KID", "10KID")
STIM_INFO_COLUMNS = ("cocoId", "cocoSplit", "cropBox", "nsdId", "shared1000")
COCO_SPLITS = ("train2017", "val2017")
UNKNOWN_LABEL = "Unknown"  # the name of label 0 in .ctab files

# Names of the contrast maps of the category localiser by the label collection drawn on them.
FLOC_CONTRASTS = {
    "floc-bodies": "bodies",
    "floc-faces": "faces",
    "floc-places": "places",
    "floc-words": "characters",
}

# What the experiment with moving bars gave for each place, as its files are named.
PRF_QUANTITIES = ("angle", "eccentricity", "size", "R2")

# Collections that were drawn in each subject; the others are atlases, or drawn on fsaverage.
DRAWN_PER_SUBJECT = ("prf-visualrois", "prf-eccrois", *FLOC_CONTRASTS)
# Collections whose regions go by their own names (V1v, FFA-1); those of others carry the
# collection's, since names such as V1v stand in several atlases.
PLAIN_NAMES = ("nsdgeneral", "streams", "prf-visualrois", *FLOC_CONTRASTS)

# NSD-synthetic: 220 pictures for all subjects, then 64 in colours made for each.
SYNTHETIC_SHARED, SYNTHETIC_COLOUR = 220, 64
SYNTHETIC_SHAPE = (714, 1360)  # pixels; the middle 714 x 714 fill the field of NSD's pictures

IMAGERY_SETS = ("A", "B", "C")
IMAGERY_RUNS = (
    "visA", "attA", "imgA_1", "visB", "attB", "imgB_1",
    "visC", "attC", "imgC_1", "imgA_2", "imgB_2", "imgC_2",
)  # fmt: skip

TRUTH = ("splits.json", "images.tsv", "scenes.tsv", "things.tsv")
# What it planted, of which `prepare` keeps a copy for scoring: beside those, and by subject.
PLANTED = ("images.tsv", "scenes.tsv", "things.tsv", "rois.tsv", "masks.h5")
PLANTED_SUBJECT = ("targets.tsv", "truth.h5")

_PPDATA = "nsddata/ppdata"
_BETAS = "nsddata_betas/ppdata"
_EXPERIMENTS = "nsddata/experiments"
_STIMULI = "nsddata_stimuli/stimuli"
_SETS = {SYNTHETIC: "nsdsynthetic", IMAGERY: "nsdimagery", IMAGERY_SEEN: "nsdimagery"}
_SESSION = re.compile(r"betas_session([0-9]+)\.")


def simulated(root: Path) -> Path:
    """A file that only a simulation has: where it is, everything made from it says so."""
    return root / "SIMULATED.json"


def whose(citation: str, *, simulated: bool) -> dict[str, Any]:
    """What a description says of who was recorded, in what, and under whose terms.

    Parameters
    ----------
    citation : of the recordings, whose form a simulation takes.
    """
    if simulated:
        return {
            "species": "none: simulated",
            "modality": "simulated responses in the form of fMRI",
            "licence": _OUR_TERMS,
            "citation": f"simulated by neuroattn in the form of {citation}",
            "simulated": True,
            "degrees": DEGREES,
        }
    return {
        "species": "human", "modality": "fMRI, 7 T", "licence": _TERMS, "citation": citation,
        "simulated": False, "degrees": DEGREES,
    }  # fmt: skip


def simulation(root: Path) -> Path | None:
    """That file, where ``root`` is a simulation or, as its Algonauts form is, a folder of one."""
    markers = (simulated(root), simulated(root.absolute().parent))
    return next((marker for marker in markers if marker.is_file()), None)


def truth(root: Path, name: str) -> Path:
    """A table of what a simulation is made of, one of `TRUTH`; no other copy has them."""
    return root / "truth" / name


def subject_name(number: int) -> str:
    """``1`` -> ``subj01``."""
    return f"subj{number:02d}"


def subject_number(subject: str) -> int | None:
    """``subj01`` -> 1, the row of ``subjectim`` counted from 1; None if it is no such name."""
    digits = subject.removeprefix("subj")
    good = subject.startswith("subj") and len(digits) == 2 and digits.isascii()
    return int(digits) if good and digits.isdigit() and int(digits) > 0 else None


def expdesign(root: Path, trial_set: str = CORE) -> Path:
    """The design of the experiment (MATLAB); that of NSD-synthetic with ``synthetic``."""
    name = "nsd" if trial_set == CORE else _SETS[trial_set]
    return root / _EXPERIMENTS / name / f"{name}_expdesign.mat"


def stim_info(root: Path) -> Path:
    """Table of the 73,000 images: COCO id, split, crop, flags (the CSV, never the pickle)."""
    return root / _EXPERIMENTS / "nsd" / "nsd_stim_info_merged.csv"


def stimuli(root: Path) -> Path:
    """``/imgBrick`` (73000, 425, 425, 3) uint8, by 73k id."""
    return root / _STIMULI / "nsd" / "nsd_stimuli.hdf5"


def synthetic_stimuli(root: Path, subject: str | None = None) -> Path:
    """NSD-synthetic: the 220 pictures for all, or the 64 colour pictures made for a subject."""
    name = "stimuli" if subject is None else f"colorstimuli_{subject}"
    return root / _STIMULI / "nsdsynthetic" / f"nsdsynthetic_{name}.hdf5"


def imagery_behaviour(root: Path, subject: str, run: str) -> Path:
    """NSD-imagery: the table of trials of one of `IMAGERY_RUNS`."""
    return root / "nsddata/bdata/nsdimagery" / f"nsdimagery_{subject}_{run}.tsv"


def imagery_pairs(root: Path, letter: str) -> Path:
    """NSD-imagery: what each cue of a set (``A``, ``B``, ``C``) stands for (MATLAB)."""
    return root / _EXPERIMENTS / "nsdimagery" / f"{letter}_pair_list.mat"


def synthetic_information(root: Path) -> Path:
    """NSD-synthetic: name, subclass and class of each of the 284 pictures, in order."""
    return root / _EXPERIMENTS / "nsdsynthetic" / "nsdsyntheticimageinformation.csv"


def imagery_pictures(root: Path) -> tuple[Path, ...]:
    """NSD-imagery: folders of the pictures, by file name."""
    targets = root / _EXPERIMENTS / "nsdimagery" / "rawtargetimages"
    return (targets / "setA", targets / "setB", root / _STIMULI / "nsdimagery" / "allstim")


def coco_annotations(root: Path, split: str, kind: str = "captions") -> Path:
    """COCO annotations: ``kind`` captions or instances, ``split`` one of `COCO_SPLITS`."""
    return root / _STIMULI / "nsd" / "annotations" / f"{kind}_{split}.json"


def responses(root: Path, subject: str) -> Path:
    """Behaviour of a subject, one row per stimulus trial, in order; ids count from 1."""
    return root / _PPDATA / subject / "behav" / "responses.tsv"


def betas_folder(root: Path, subject: str, space: str, version: str, trial_set: str = CORE) -> Path:
    """Folder of one preparation of the betas (``version``: a key of `VERSIONS`)."""
    return root / _BETAS / subject / space / (_SETS.get(trial_set, "") + VERSIONS[version])


def betas(
    root: Path,
    subject: str,
    space: str,
    version: str,
    session: int,
    *,
    hemisphere: str | None = None,
    format: str | None = None,  # noqa: A002 (the word of the config key)
    trial_set: str = CORE,
) -> Path:
    """Betas of a session (from 1); on a surface, of one hemisphere.

    Without ``format`` it is the first of the space's `FORMATS`. NSD-synthetic and
    NSD-imagery are one session, whose number is not in the name.
    """
    stem = f"session{session:02d}" if trial_set == CORE else _SETS[trial_set]
    suffix = SUFFIXES[format or FORMATS[space][0]]
    folder = betas_folder(root, subject, space, version, trial_set)
    return folder / f"{_side(hemisphere)}betas_{stem}{suffix}"


def session_of(path: Path) -> int | None:
    """The session in the name of a file of betas."""
    found = _SESSION.search(path.name)
    return int(found[1]) if found else None


def ncsnr(
    root: Path, subject: str, space: str, version: str, hemisphere: str | None = None
) -> Path:
    """The noise ceiling's signal-to-noise ratio that comes with the betas, over all trials."""
    folder = betas_folder(root, subject, space, version)
    suffix = ".nii.gz" if space in VOLUMES else ".mgh"
    return folder / f"{_side(hemisphere)}ncsnr{suffix}"


def roi_volume(
    root: Path, subject: str, space: str, name: str, hemisphere: str | None = None
) -> Path:
    """Label volume of both hemispheres, or of one."""
    return root / _PPDATA / subject / space / "roi" / f"{_side(hemisphere)}{name}.nii.gz"


def roi_surface(root: Path, subject: str, name: str, hemisphere: str) -> Path:
    """Surface labels of a subject, or of ``fsaverage``."""
    return _labels(root, subject) / f"{hemisphere}.{name}.mgz"


def ctab(root: Path, subject: str, name: str) -> Path:
    """Names of the labels of a collection: lines ``number name``; one file for both sides."""
    return _labels(root, subject) / f"{name}.mgz.ctab"


def floc_tmap(
    root: Path, subject: str, space: str, contrast: str, hemisphere: str | None = None
) -> Path:
    """The localiser's continuous t-map (``faces``, ``bodies`` …), native to the subject."""
    if space in VOLUMES:
        return root / _PPDATA / subject / space / f"floc_{contrast}tval.nii.gz"
    return _labels(root, subject) / f"{_side(hemisphere)}floc{contrast}tval.mgz"


def prf_map(
    root: Path, subject: str, space: str, quantity: str, hemisphere: str | None = None
) -> Path:
    """A map of population receptive fields (one of `PRF_QUANTITIES`), native to the subject."""
    if space in VOLUMES:
        return root / _PPDATA / subject / space / f"prf_{quantity}.nii.gz"
    return _labels(root, subject) / f"{_side(hemisphere)}prf{quantity}.mgz"


def to_fsaverage(root: Path, subject: str, hemisphere: str) -> Path:
    """For each vertex of fsaverage, the nearest one of the subject's surface, from 1."""
    return root / _PPDATA / subject / "transforms" / f"{hemisphere}.white-to-fsaverage.mgz"


def label_subject(space: str, subject: str) -> str:
    """Whose label folder a surface space has: its own on fsaverage, else the subject's."""
    return FSAVERAGE if space == FSAVERAGE else subject


def sides(space: str) -> tuple[str | None, ...]:
    """The parts in which a space's files come: both hemispheres, or one volume."""
    return HEMISPHERES if space in SURFACES else (None,)


def _labels(root: Path, subject: str) -> Path:
    return root / "nsddata/freesurfer" / subject / "label"


def _side(hemisphere: str | None) -> str:
    return f"{hemisphere}." if hemisphere else ""
