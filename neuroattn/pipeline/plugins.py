"""Plug-ins: taken in whole or not at all, and only if what they add keeps our contracts.

A plug-in adds stages and choices to the catalogue. What it adds is checked here, once, so
that its mistakes are told by its name at the start and not by a traceback after an hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, get_type_hints

from neuroattn.core.config import walk
from neuroattn.core.errors import ConfigError, NeuroattnError
from neuroattn.core.registry import Entry
from neuroattn.core.stage import Stage
from neuroattn.pipeline.config import RootConfig

if TYPE_CHECKING:
    from neuroattn.pipeline.stages import Catalogue

# Words of the command line that are no stages.
VERBS = (
    "run", "demo", "data", "reproduce", "plan", "submit", "status", "why", "gc", "doctor", "help",
)  # fmt: skip

NAME = re.compile(r"[a-z][a-z0-9_]*")


def take_in(point: metadata.EntryPoint, catalogue: Catalogue) -> None:
    """Let the plug-in behind ``point`` add to the catalogue; once a process.

    Raises
    ------
    ConfigError : it cannot be imported, it fails, or something it adds breaks a contract. The
        catalogue is then what it was.
    """
    name = f"{point.name} of {_package(point)}"
    if name in catalogue.plugins:
        return
    try:
        with _whole(catalogue) as before:
            point.load()(catalogue)
            _check_additions(before, catalogue)
    except NeuroattnError as error:
        raise ConfigError(
            f"the plug-in {name} is refused: {error.problem}",
            file=error.file,
            expected=error.expected,
            found=error.found,
            fix=error.fix,
        ) from error
    except Exception as error:
        raise ConfigError(
            f"the plug-in {name} cannot be loaded",
            expected=f"{point.value} to be a function that takes the catalogue",
            found=f"{type(error).__name__}: {error}",
            fix="repair it, or uninstall its package",
        ) from error
    catalogue.plugins[name] = point.value


def _package(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


Contents = dict[str, dict[str, Any]]


@contextmanager
def _whole(catalogue: Catalogue) -> Iterator[Contents]:
    """Yield what the catalogue holds; whatever is raised, it holds that again."""
    places: dict[str, dict[str, Any]] = {"stage": catalogue.stages, **catalogue.registries}
    before = {group: dict(place) for group, place in places.items()}
    try:
        yield before
    except BaseException:
        for group, place in places.items():
            place.clear()
            place.update(before[group])
        raise


def _check_additions(before: Contents, catalogue: Catalogue) -> None:
    bases = get_type_hints(RootConfig)
    for group, registry in catalogue.registries.items():
        for name, entry in _added(group, before[group], registry):
            _check_choice(f"{group}={name}", name, entry, bases[group])
            if group == "dataset" and not entry.leaves:
                raise _broken(f"{group}={name}", "leaves, so that its files enter fingerprints")
    for name, stage in _added("stage", before["stage"], catalogue.stages):
        _check_stage(name, stage)


def _added(
    group: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[tuple[str, Any]]:
    """What is new; that all else is untouched and that new names are sound was checked."""
    changed = [name for name, entry in before.items() if after.get(name) is not entry]
    if changed:
        raise ConfigError(
            f"it replaces or removes {group} {', '.join(changed)}",
            fix="a plug-in only adds: give its choice another name",
        )
    added = [(name, entry) for name, entry in after.items() if name not in before]
    for name, _ in added:
        if not NAME.fullmatch(name):
            raise _broken(f"{group} {name!r}", "a name of small letters, digits and underscores")
    return added


def _check_choice(what: str, name: str, entry: Entry, base: Any) -> None:
    schema = entry.schema
    if not (is_dataclass(schema) and issubclass(schema, base)):
        raise _broken(what, f"a schema that is a dataclass derived from {base.__name__}")
    config = _composed(what, schema)
    if config.name != name:
        raise _broken(what, f'name: str = science("{name}", …) in its schema', config.name)
    for key in walk(config):
        if key.role not in ("science", "execution"):
            raise _broken(what, f"science() or execution() for every key, also for {key.path}")


def _composed(what: str, schema: Any) -> Any:
    """The schema at its defaults, as Hydra would make it."""
    from omegaconf import OmegaConf

    try:
        return OmegaConf.to_object(OmegaConf.structured(schema))
    except Exception as error:
        raise _broken(what, "a schema that Hydra can compose", str(error)) from error


def _check_stage(name: str, stage: Any) -> None:
    if not isinstance(stage, Stage) or stage.name != name:
        raise _broken(f"the stage {name}", "a Stage of that name", stage)
    if name in VERBS:
        raise _broken(f"the stage {name}", "another name: this is a verb of the command line")


def _broken(what: str, expected: str, found: object = None) -> ConfigError:
    told = None if found is None else str(found).partition("\n")[0]
    return ConfigError(
        f"{what} cannot be taken", expected=expected, found=told, fix="see docs/plugins.md"
    )
