"""Variants of a run: its own overrides with further ones, as a comparison's members ask for them.

They are composed on demand, in a Hydra job or outside of one, by a loader of their own that leaves
Hydra's state alone. Hydra never acts on what is composed here.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path

from neuroattn.cli.compose import addressed, load, register_schemas, typed
from neuroattn.cli.searchpath import KEY
from neuroattn.core.errors import ConfigError
from neuroattn.core.resources import shipped
from neuroattn.pipeline.config import RootConfig


def composer(words: Sequence[str]) -> Callable[[str], RootConfig]:
    """A function from a line of overrides to their config over ``words``, those of the run.

    A variant composes variants of its own over its own words: a cited synthesis cites a judge.
    """

    @cache
    def composed(line: str) -> RootConfig:
        own = [*words, *_split(line)]
        config = _compose(own)
        config.composer = composer(own)
        return config

    return lambda line: copy.deepcopy(composed(line))


def searched(words: Iterable[str]) -> list[str]:
    """Those of Hydra's own overrides that say where configs are found."""
    return [word for word in words if word.lstrip("+").startswith(f"{KEY}=")]


def _compose(words: Sequence[str]) -> RootConfig:
    register_schemas()
    loader = ConfigLoaderImpl(create_config_search_path(str(shipped("conf"))))
    return typed(load(loader, addressed(words)))


def _split(line: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ConfigError(
            "these overrides cannot be read", found=line, fix=f"close the quotes ({error})"
        ) from error
    for word in words:
        if word.lstrip("+~").startswith(("hydra", "stage=", "paths.", "compare.")):
            raise ConfigError(
                "a variant sets keys of its own result only",
                expected="science keys, such as encoder=ridge or seed=1",
                found=word,
                fix="set this key for the whole run",
            )
    return words
