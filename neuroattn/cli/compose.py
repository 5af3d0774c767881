"""From words on the command line to a typed, checked `RootConfig`, without importing torch."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from neuroattn.cli.searchpath import refuse_packages
from neuroattn.core.config import out_of_range, walk
from neuroattn.core.errors import ConfigError, NeuroattnError
from neuroattn.core.resources import shipped, user_path
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.stages import catalogue

VERSION_BASE = "1.3"
CONFIG_NAME = "config"

# Keys that are mappings: any name may be set below them.
MAPPINGS = (
    "use", "notes", "compare.members", "compare.partitions", "synthesis.guides",
    "synthesis.directions", "ablation.groups", "encoder.also", "guidance.scales",
)  # fmt: skip
# The values of these are overrides, which Hydra reads as text only in quotes.
QUOTED = (
    "compare.members.", "encoder.also.", "synthesis.guides.", "imagery.trials", "imagery.gallery",
)  # fmt: skip
# These name an artefact, which may be swept over (a,b), or are overrides, which have an = sign.
REFERENCES = ("use.", "synthesis.judge=", "synthesis.captions=", "maps.minus=", "encoder.start=")

# What Hydra and OmegaConf raise where a config cannot be composed; they assert at places.
NOT_COMPOSED = (HydraException, OmegaConfBaseException, YAMLError, ValueError, AssertionError)


def register_schemas() -> None:
    """Give Hydra the schema of every choice, under ``schema/<group>/<choice>``.

    A choice without a YAML file of its own (a plug-in's) is offered straight from its schema.
    """
    _offer("schema", "root", RootConfig)
    for entry in fields(RootConfig):
        kind: object = entry.default_factory
        if is_dataclass(kind) and entry.name not in catalogue().registries:
            _offer("schema", entry.name, kind)
    for group, registry in catalogue().registries.items():
        for name, choice in registry.items():
            _offer(f"schema/{group}", name, choice.schema)
            if not (shipped("conf") / group / f"{name}.yaml").exists():
                _offer(group, name, choice.schema)


def _offer(group: str, name: str, kind: Any) -> None:
    folder = ConfigStore.instance().repo
    for part in group.split("/"):
        folder = folder.setdefault(part, {})
    folder[f"{name}.yaml"] = _Schema(f"{name}.yaml", kind, group, package=None, provider=None)


class _Schema(ConfigNode):
    """A schema in Hydra's store that becomes a config when it is read: most never are."""

    def __init__(self, name: str, node: Any, *place: Any, **source: Any) -> None:
        self._made: DictConfig | None = None
        self._kind = node
        super().__init__(name, node, *place, **source)

    @property
    def node(self) -> DictConfig:
        return _structured(self._kind) if self._made is None else self._made

    @node.setter
    def node(self, value: Any) -> None:
        if value is not self._kind:  # Hydra puts a copy of its own into a copy of this
            self._made = value


@cache
def _structured(kind: Any) -> DictConfig:
    made: DictConfig = OmegaConf.structured(kind)
    return made


@contextmanager
def engine() -> Iterator[Hydra]:
    """Hydra over the shipped ``conf/``; overlays come as ``hydra.searchpath``."""
    register_schemas()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(shipped("conf")), version_base=VERSION_BASE):
        started = GlobalHydra.instance().hydra
        assert started is not None
        yield started


@contextmanager
def config_loader() -> Iterator[ConfigLoader]:
    """The loader of an `engine`."""
    with engine() as started:
        yield started.config_loader


def addressed(words: Sequence[str]) -> list[str]:
    """Overrides with ``use.prepare=…`` as Hydra wants it for a new name: ``++use.prepare=…``."""
    made = ((word, _as_text(word)) for word in words)
    return [f"++{_entry(text)}" if _is_mapped(word) else text for word, text in made]


def _is_mapped(word: str) -> bool:
    key = word.partition("=")[0]
    return key in MAPPINGS or key.startswith(tuple(f"{name}." for name in MAPPINGS))


def _entry(word: str) -> str:
    """A name with + or @, which no key of Hydra's may have, as an entry of its mapping."""
    key, _, value = word.partition("=")
    place = next((name for name in MAPPINGS if key.startswith(f"{name}.")), key)
    name = key.removeprefix(f"{place}.")
    return f"{place}={{{name}: {value}}}" if set(name) & {"+", "@"} else word


def _as_text(word: str) -> str:
    key, _, value = word.partition("=")
    name = word.lstrip("+")
    is_text = name.startswith(QUOTED) or (name.startswith(REFERENCES) and "=" in value)
    is_home = value.startswith("~/") and "," not in value  # a comma may be that of a sweep
    if not (is_text or is_home) or value[:1] in ("'", '"') or value == "null":
        return word
    return f"{key}={quoted(value)}"


def quoted(text: str) -> str:
    """A value for Hydra's override grammar, apostrophes and all."""
    return "'" + text.replace("'", "\\'") + "'"


def load(loader: ConfigLoader, overrides: Sequence[str], *, multirun: bool = False) -> DictConfig:
    """Compose the master config, Hydra's own node included.

    Raises
    ------
    ConfigError : an unknown key or choice, or a value of another type.
    """
    refuse_packages(overrides)
    mode = RunMode.MULTIRUN if multirun else RunMode.RUN
    try:
        return loader.load_configuration(CONFIG_NAME, list(overrides), run_mode=mode)
    except NOT_COMPOSED as error:
        raise explain(error, lambda: _keys_of(loader, overrides)) from error


def load_job(loader: ConfigLoader, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Compose one job of a sweep over ``master``; raises as `load`."""
    refuse_packages(overrides)
    try:
        return loader.load_sweep_config(master, list(overrides))
    except NOT_COMPOSED as error:
        raise explain(error, lambda: _keys_of(loader, overrides)) from error


def _keys_of(loader: ConfigLoader, overrides: Sequence[str]) -> list[str]:
    """All keys under the same choices, for a hint; empty where even those do not compose."""
    choices = [word for word in overrides if word.partition("=")[0] in catalogue().registries]
    try:
        composed = loader.load_configuration(CONFIG_NAME, choices, run_mode=RunMode.MULTIRUN)
        return [*catalogue().registries, *(key.path for key in walk(typed(composed)))]
    except (*NOT_COMPOSED, NeuroattnError):
        return []


def typed(composed: DictConfig) -> RootConfig:
    """The typed config of a composition; every check of every section has run.

    Raises
    ------
    ConfigError : as `load`, and where a value is out of its range.
    """
    job = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    try:
        values = OmegaConf.to_container(job, resolve=True)
        sections = OmegaConf.to_object(job)
    except NOT_COMPOSED as error:
        refused = _out_of_range(job) if isinstance(error, ConfigError) else None
        raise refused or explain(error) from error
    if not isinstance(values, dict) or not isinstance(sections, dict):
        raise ConfigError("the composed config is no tree of keys", found=type(values).__name__)
    _refuse_unknown(values, RootConfig, sections)
    config = RootConfig(**{str(name): value for name, value in sections.items()})
    _check_chosen(config)
    config.paths.root = str(user_path(config.paths.root).absolute())
    return config


def _out_of_range(node: Any, path: str = "") -> ConfigError | None:
    """What a section's checks refuse, with the key's full path: a section knows its class."""
    if isinstance(node, ListConfig):
        return _first_of(_out_of_range(item, f"{path}[{at}]") for at, item in enumerate(node))
    if not isinstance(node, DictConfig) or not node:
        return None
    prefix = f"{path}." if path else ""
    kind, values = OmegaConf.get_type(node), OmegaConf.to_container(node, resolve=True)
    below = _first_of(_out_of_range(item, prefix + str(name)) for name, item in node.items())
    if below is not None or not is_dataclass(kind) or not isinstance(values, dict):
        return below
    return out_of_range(kind, {str(name): value for name, value in values.items()}, prefix)


def _first_of(found: Iterable[ConfigError | None]) -> ConfigError | None:
    return next((error for error in found if error is not None), None)


def _check_chosen(config: RootConfig) -> None:
    """Refuse a section that is no choice: one that ``~`` took away, or a file without schema."""
    for group, registry in catalogue().registries.items():
        if getattr(config, group).name not in registry:
            raise ConfigError(
                f"no {group} is chosen",
                expected=" | ".join(sorted(registry)),
                fix=f"choose one of them: {group}=<name>; {_ABOUT_SCHEMAS}",
            )


def compose(overrides: Sequence[str]) -> RootConfig:
    """Compose and type in one go, for callers that are no Hydra job."""
    from neuroattn.cli.variants import composer  # it composes with the functions above

    overrides = addressed(overrides)
    with config_loader() as loader:
        config = typed(load(loader, overrides))
    config.composer = composer(overrides)
    return config


def _refuse_unknown(
    values: dict[Any, Any], kind: type, sections: dict[Any, Any], prefix: str = ""
) -> None:
    """Refuse keys that ``+key=value`` added where the schema has none."""
    known = {entry.name for entry in fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise _unknown_key(f"{prefix}{name}", [f"{prefix}{other}" for other in known])
        section = sections[name]
        if is_dataclass(section) and isinstance(value, dict):
            _refuse_unknown(value, type(section), vars(section), f"{prefix}{name}.")


def _unknown_key(key: str, known: Sequence[str]) -> ConfigError:
    close = difflib.get_close_matches(key, known, n=4)
    parent = key.rpartition(".")[0]
    # Its parent is a mapping that may grow, and no section with keys of its own.
    is_entry = parent in known and not any(other.startswith(f"{parent}.") for other in known)
    return ConfigError(
        f"there is no key {key}",
        expected=f"+{key}" if is_entry else " | ".join(close) or None,
        found=key,
        fix=f"add it with a plus sign: +{key}=<value>"
        if is_entry
        else "neuroattn <stage> --cfg job prints every key; remarks go into notes.<name>=<text>",
    )


_ABOUT_SCHEMAS = "a file of your own begins its defaults with /schema/<group>/<choice>@_here_"

# What the user can do about a message of Hydra's, by a part of it.
_FIXES = {
    "is not a ListConfig": "write a list: key=[a,b]",
    "raised while composing config": _ABOUT_SCHEMAS,
    "Could not find 'experiment/": "add --config-dir DIR, with the file in DIR/experiment",
    "does not support deletion": "set it instead, KEY=<value>; docs/config.md has its default. ~ is"
    " for entries of mappings (~compare.members.NAME), for root keys and sections (~seed)",
    "Unknown function": "quote the value: \"key='…'\"",
}


def explain(error: Exception, keys: Callable[[], Sequence[str]] = tuple) -> ConfigError:
    """Turn Hydra's and OmegaConf's errors into a `ConfigError` of a few lines.

    ``keys`` gives all dotted keys, from which the nearest to a misspelt one are offered; it
    composes once more, so it is asked only then.
    """
    for known in (error, error.__cause__):
        if isinstance(known, ConfigError):
            return known
    text = _told(error)
    if isinstance(error, OverrideParseException) and "while evaluating" not in text:
        return _unreadable(error.override)
    misspelt = re.search(r"Could not override '([^']+)'", text)
    if misspelt:
        return _unknown_key(misspelt.group(1), keys())
    choices = re.search(r"Available options in '([^']+)':;?\s*(.*)", text)
    if choices:
        group, names = choices.group(1), choices.group(2)
        return ConfigError(
            text[: choices.start()].rstrip("; "),
            expected=" | ".join(name.strip() for name in names.split(";") if name.strip()),
            fix=f"choose one of them: {group}=<name>",
        )
    if error.__cause__ is not None:
        text += f": {_told(error.__cause__)}"
    default = "neuroattn <stage> --cfg job prints every key with its value"
    return ConfigError(text, fix=next((_FIXES[part] for part in _FIXES if part in text), default))


def _unreadable(word: str) -> ConfigError:
    """An override that Hydra's grammar cannot read, as one with ``~``, ``=`` or ``(``."""
    key, sign, value = word.partition("=")
    if not sign or not re.fullmatch(r"[+~]*[\w.@/:-]+", key):
        fix = "write key=value"
    elif value[:1] in ("[", "{"):
        fix = f"close the brackets, and quote what is no plain word: \"{key}=['…']\""
    else:
        text = "…" if set(value) & set("'\"`$\\") else value
        fix = f"quote the value: \"{key}='{text}'\""
    return ConfigError("this override cannot be read", found=word, fix=fix)


def _told(error: BaseException) -> str:
    """Hydra's message on one line, without where it searched."""
    noise = ("Config search path", "object_type=", "reference_type=", "full_key:", "See https://")
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(noise)]
    text = "; ".join(line for line in kept if "provider=" not in line)
    key = getattr(error, "full_key", None)
    return f"{key}: {text}" if key and str(key) not in text else text
