"""The form of a manifest, and the files that its templates stand for.

Plain data: nothing is read from disk here, so plans and tests can build manifests by hand.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from neuroattn.core.errors import ConfigError

UNKNOWN = "unknown"
FORMATS = frozenset(
    {
        "mgh", "nifti", "hdf5", "mat", "npy", "pickled", "tsv", "csv", "json", "ctab", "picture",
        "other",
    }
)  # fmt: skip
SUBJECT, SESSION = "subject", "session"
_PLACEHOLDER = re.compile(r"{(\w+)}")
# Bytes before the values: MGH and NIfTI-1 headers are fixed, that of a .npy is padded to 128.
_HEADERS = {"mgh": 284, "nifti": 352, "npy": 128, "hdf5": 0}

Sizes = Mapping[str, int | tuple[int, ...]]


@dataclass(frozen=True)
class FileEntry:
    """One file of a dataset, or with ``*`` in its path a group of files.

    Parameters
    ----------
    values : of the placeholders in its path (``subject``, ``session``, ``side`` …).
    shape : None where not known.
    bytes : None where not known; ``exact`` tells whether it may be held against a copy.
    """

    id: str
    path: str
    format: str
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    bytes: int | None = None
    exact: bool = False
    needed: bool = True
    sha256: str | None = None
    note: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_group(self) -> bool:
        """Whether the path names several files."""
        return "*" in self.path or "?" in self.path

    @property
    def folder(self) -> str:
        """The folder it stands in, below the dataset's."""
        return PurePosixPath(self.path).parent.as_posix()

    @property
    def session(self) -> int | None:
        """Number of the session in its name."""
        return int(self.values[SESSION]) if SESSION in self.values else None


@dataclass(frozen=True)
class Template:
    """One row of the table of files."""

    id: str
    path: str
    format: str
    dtype: str
    shape: str
    bytes: str
    needed: bool
    sha256: str
    note: str

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names in braces, in order, each once."""
        return tuple(dict.fromkeys(_PLACEHOLDER.findall(self.path)))

    @property
    def glob(self) -> str:
        """The path with ``*`` for each placeholder."""
        return _PLACEHOLDER.sub("*", self.path)

    def entry(self, values: Mapping[str, str], sizes: Sizes) -> FileEntry:
        """The file for one value of each placeholder; ``sizes`` are those of the subject."""
        shape = _shape(self.shape.format(**values), sizes)
        dtype = None if self.dtype == UNKNOWN else self.dtype
        return FileEntry(
            id=self.id,
            path=self.path.format(**values),
            format=self.format,
            dtype=dtype,
            shape=shape,
            bytes=_bytes(self.bytes, self.format, dtype, shape),
            exact=self.bytes == "exact" or self.bytes.isdigit(),
            needed=self.needed,
            sha256=None if self.sha256 == UNKNOWN else self.sha256,
            note=self.note,
            values=dict(values),
        )


def _shape(text: str, sizes: Sizes) -> tuple[int, ...] | None:
    if text == UNKNOWN:
        return None
    shape: list[int] = []
    for word in text.split():
        found = int(word) if word.isdigit() else sizes.get(word.lstrip("-"))
        if found is None:
            return None
        axes = (found,) if isinstance(found, int) else found
        shape += reversed(axes) if word.startswith("-") else axes
    return tuple(shape)


def _bytes(text: str, kind: str, dtype: str | None, shape: tuple[int, ...] | None) -> int | None:
    if text.isdigit():
        return int(text)
    if text == UNKNOWN or dtype is None or shape is None:
        return None
    return _HEADERS[kind] + math.prod(shape) * np.dtype(dtype).itemsize


@dataclass(frozen=True)
class Subset:
    """A named choice of files, and what each stage needs of them.

    ``where`` narrows placeholders to some of their values; ``stages`` maps a stage to ids of
    templates and to other stages, whose needs it shares.
    """

    name: str
    about: str
    where: Mapping[str, tuple[str, ...]]
    stages: Mapping[str, tuple[str, ...]]

    def needs(self, stage: str) -> tuple[str, ...]:
        """Ids of the templates that ``stage`` needs, each once."""
        if stage not in self.stages:
            raise ConfigError(
                f"the subset {self.name} says nothing about the stage {stage}",
                expected=" | ".join(self.stages),
                found=stage,
                fix="name one of these stages, or leave --stage out for all",
            )
        found: dict[str, None] = {}
        for word in self.stages[stage]:
            found |= dict.fromkeys(self.needs(word) if word in self.stages else (word,))
        return tuple(found)

    def ids(self) -> tuple[str, ...]:
        """Ids of the templates that any stage needs."""
        return tuple(dict.fromkeys(id_ for stage in self.stages for id_ in self.needs(stage)))


@dataclass(frozen=True)
class Manifest:
    """What is known about one dataset."""

    name: str
    title: str
    version: str
    homepage: str
    licence: str
    terms: str
    agreement: str
    redistribution: str
    citation: str
    source: str
    anonymous: bool
    digests: str
    obtain: str
    sources: tuple[str, ...]
    placeholders: Mapping[str, tuple[str, ...]]
    subjects: Mapping[str, Sizes]
    subsets: Mapping[str, Subset]
    default_subset: str
    templates: Mapping[str, Template]

    def subset(self, name: str | None) -> Subset:
        """The subset ``name``, or the default one.

        Raises
        ------
        ConfigError : there is none of this name.
        """
        if (name or self.default_subset) not in self.subsets:
            raise ConfigError(
                f"{self.name} has no subset {name}",
                expected=" | ".join(self.subsets),
                found=name,
                fix="name one of them with --subset",
            )
        return self.subsets[name or self.default_subset]

    def entries(
        self,
        subset: Subset | None = None,
        subjects: tuple[str, ...] = (),
        stage: str | None = None,
    ) -> Iterator[FileEntry]:
        """Every file, or those of a subset (and of a stage), of ``subjects`` (all if empty)."""
        where = subset.where if subset else {}
        ids = self.templates if not subset else (subset.needs(stage) if stage else subset.ids())
        chosen = self._subjects(subjects)
        for id_ in ids:
            yield from self._expand(self.templates[id_], where, chosen)

    def _subjects(self, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in self.subjects]
        if unknown:
            raise ConfigError(
                f"{self.name} has no subject {unknown[0]}",
                expected=", ".join(self.subjects),
                found=unknown[0],
                fix="name one of them with --subject",
            )
        return names or tuple(self.subjects)

    def _expand(
        self, template: Template, where: Mapping[str, tuple[str, ...]], subjects: tuple[str, ...]
    ) -> Iterator[FileEntry]:
        names = template.placeholders
        for subject in subjects if SUBJECT in names else ("",):
            sizes = self.subjects.get(subject, {})
            choices = [self._values(name, where, subject) for name in names]
            for values in itertools.product(*choices):
                yield template.entry(dict(zip(names, values, strict=True)), sizes)

    def _values(
        self, name: str, where: Mapping[str, tuple[str, ...]], subject: str
    ) -> tuple[str, ...]:
        if name == SUBJECT:
            return (subject,)
        if name == SESSION:
            count = self.subjects[subject]["sessions"]
            last = count if isinstance(count, int) else max(count)
            return tuple(f"{number:02d}" for number in range(1, last + 1))
        return where.get(name, self.placeholders[name])
