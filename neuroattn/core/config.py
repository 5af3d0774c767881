"""Typed, documented configuration keys, and which of them are science.

Every key of every schema is declared with `science` or `execution`. Science keys can change
a result and enter the fingerprint; execution keys (device, workers, paths, logging) cannot
and never do. The declaration is the only place that knows.

Hydra's traps that shape this module: a frozen dataclass breaks overrides, ``Literal`` and
unions of dataclasses are rejected (use `enum.Enum` and base classes), a tuple arrives as a
list.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from neuroattn.core.errors import ConfigError

Check = Callable[[Any], bool]
T = TypeVar("T")


def science(default: Any, doc: str, *, check: Check | None = None, must: str = "") -> Any:
    """Declare a key that can change a result.

    Parameters
    ----------
    default : its default; one that differs from it enters the fingerprint.
    doc : one sentence for the reference, with the unit where there is one.
    check, must : a predicate and its wording, as in ``check=lambda n: n > 1, must="be above 1"``.
    """
    return _declare(default, doc, "science", check, must)


def execution(default: Any, doc: str, *, check: Check | None = None, must: str = "") -> Any:
    """Declare a key that cannot change a result: it stays out of every fingerprint."""
    return _declare(default, doc, "execution", check, must)


def at_least(
    default: Any, doc: str, least: float = 1, *, kind: Callable[..., Any] = science
) -> Any:
    """Declare a number of ``least`` or more; ``kind`` is `science` or `execution`."""
    return kind(default, doc, check=lambda n: n >= least, must=f"be {least} or more")


def positive(default: float, doc: str) -> Any:
    """Declare a science key above 0."""
    return science(default, doc, check=lambda x: x > 0, must="be above 0")


def share(default: float, doc: str) -> Any:
    """Declare a science key from 0 to 1."""
    return science(default, doc, check=lambda x: 0 <= x <= 1, must="be 0 to 1")


def share_below_one(default: float, doc: str) -> Any:
    """Declare a science key from 0 up to, not including, 1: of what is never all."""
    return science(default, doc, check=lambda x: 0 <= x < 1, must="be 0 or more and below 1")


def section(make: Callable[[], Any], doc: str) -> Any:
    """Declare a nested section, made by its class or by a function with other defaults.

    The section's own fields say what is science.
    """
    return field(default_factory=make, metadata={"doc": doc, "role": "section"})


def _declare(default: Any, doc: str, role: str, check: Check | None, must: str) -> Any:
    metadata = {"doc": doc, "role": role, "check": check, "must": must}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(kw_only=True)
class Section:
    """Base of every schema; runs the declared checks as soon as a config is typed."""

    def __post_init__(self) -> None:
        problem = out_of_range(type(self), vars(self), f"{type(self).__name__}.")
        if problem is not None:
            raise problem


def out_of_range(kind: type, values: Mapping[str, Any], prefix: str) -> ConfigError | None:
    """The first declared check of ``kind`` that ``values`` fail, as an error, or None.

    ``prefix`` stands before the key's name: its section's path, or class where none is known.
    """
    for key in fields(kind):
        check = key.metadata.get("check")
        if check is not None and not check(values[key.name]):
            name, must = f"{prefix}{key.name}", key.metadata["must"]
            return ConfigError(
                f"{name} is out of range",
                expected=f"it must {must}",
                found=repr(values[key.name]),
                fix=f"set {name} to a value that must {must}",
            )
    return None


@dataclass(kw_only=True)
class Choice(Section):
    """Base of schemas that are picked by name (``encoder=ridge``).

    ``name`` always enters the fingerprint, because two choices may have equal keys.
    """

    name: str = science("", "The choice's name in its registry; set by the choice itself.")

    def __post_init__(self) -> None:
        super().__post_init__()
        expected = type(self).__dataclass_fields__["name"].default
        if self.name != expected:
            raise ConfigError(
                f"the name of the {type(self).__name__} section cannot be set",
                expected=expected,
                found=self.name,
                fix="pick another choice on the command line, as in encoder=ridge",
            )


@dataclass(frozen=True)
class Key:
    """One leaf of a typed config: dotted ``path``, current ``value``, declaration."""

    path: str
    value: Any
    default: Any
    role: str
    doc: str
    is_name: bool


def walk(config: Any, prefix: str = "") -> Iterator[Key]:
    """Yield every leaf key of a typed config, depth first, in declaration order."""
    for entry in fields(config):
        value = getattr(config, entry.name)
        path = f"{prefix}{entry.name}"
        if is_dataclass(value) and not isinstance(value, type):
            yield from walk(value, f"{path}.")
            continue
        yield Key(
            path=path,
            value=plain(value),
            default=plain(default_of(entry)),
            role=entry.metadata.get("role", "undeclared"),
            doc=entry.metadata.get("doc", ""),
            is_name=isinstance(config, Choice) and entry.name == "name",
        )


def default_of(entry: dataclasses.Field[Any]) -> Any:
    """The default of a dataclass field, made fresh where it is mutable."""
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return entry.default


def plain(value: Any) -> Any:
    """Reduce a config value to JSON types: enums to values, paths to text, tuples to lists.

    A section inside a list becomes a mapping.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def selected(path: str, reads: tuple[str, ...], ignores: tuple[str, ...]) -> bool:
    """Whether a key stands under one of the dotted prefixes ``reads`` and none of ``ignores``."""

    def under(prefix: str) -> bool:
        return path == prefix or path.startswith(f"{prefix}.")

    return any(map(under, reads)) and not any(map(under, ignores))


def science_values(
    keys: Iterable[Key], reads: tuple[str, ...], ignores: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The science keys that a stage reads and whose value differs from the default.

    ``keys`` are those of a config (`walk`). Keyed by dotted path. Names of choices are always
    there; a new key at its default never is, so adding one invalidates nothing.
    """
    return {
        key.path: key.value
        for key in keys
        if key.role == "science"
        and selected(key.path, reads, ignores)
        and (key.is_name or key.value != key.default)
    }


def science_defaults(
    keys: Iterable[Key], reads: tuple[str, ...], ignores: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Default of every science key that a stage reads; the golden file freezes it."""
    return {
        key.path: key.default
        for key in keys
        if key.role == "science" and selected(key.path, reads, ignores)
    }


def restore(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a typed section from the plain values that an artefact's ``config.yaml`` holds.

    Keys that the schema no longer has are refused; keys that it has gained take their default.

    Raises
    ------
    ConfigError : a key that does not exist, or a value out of its range.
    """
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ConfigError(
            f"{kind.__name__} has no key {', '.join(unknown)}",
            expected=" | ".join(hints),
            found=", ".join(unknown),
            fix="load this artefact with the version of neuroattn that wrote it (provenance.json)",
        )
    return kind(**{name: _restored(hints[name], value) for name, value in values.items()})


def _restored(hint: Any, value: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return restore(hint, value)
    return value
