"""Building an embedded model from its file in ``workflows/models``: resumable, one folder each."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from neuroattn.core.atomic import ensure_folder, read_json, write_json
from neuroattn.core.claims import claim
from neuroattn.core.config import restore, walk
from neuroattn.core.errors import ConfigError, StorageError
from neuroattn.core.progress import Progress
from neuroattn.core.resources import shipped
from neuroattn.features.backbones import choose_device
from neuroattn.generators.cards import (
    CARD,
    EMBEDDED,
    Card,
    identity,
    read_card,
    replace_model,
    write_card,
    write_model,
)
from neuroattn.generators.making import Made, Maker, Workplace
from neuroattn.generators.registry import JUDGES, MODELS, NEEDS, ModelConfig
from neuroattn.generators.scenes import LAYOUTS
from neuroattn.training.loop import Runtime

log = logging.getLogger("neuroattn.generators")
_LIBRARIES = ("neuroattn", "torch", "diffusers", "transformers")


def model_config(name: str, file: Path | None = None) -> ModelConfig:
    """The configuration of a model, from its workflow or from ``file``.

    Raises
    ------
    ConfigError : no such model, or a file that does not fit its schema.
    """
    schema = MODELS.entry(name).schema
    path = file or shipped("workflows") / "models" / f"{name}.yaml"
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _no_configuration(path, " ".join(str(error).split())) from error
    if not isinstance(values, Mapping):
        raise _no_configuration(path, type(values).__name__)
    made: ModelConfig = restore(schema, values)
    return made


def _no_configuration(path: Path, found: str) -> ConfigError:
    return ConfigError(
        "this is no configuration of a model", file=path, expected="YAML, key: value",
        found=found, fix="see workflows/models",
    )  # fmt: skip


def build(name: str, root: Path, config: ModelConfig, device: str = "auto") -> Path:
    """Train model ``name`` into ``root``, or resume; one that is there is kept.

    Raises
    ------
    StorageError : a model of another configuration is there, done or half done.
    MissingDataError : a model that it needs is not there, or at the end one that judges it; what
        was trained is kept.
    ConfigError : the device is not there.
    InterruptedRunError : a stop signal came; the same command resumes.
    """
    choose_device(device)  # before scenes are drawn for it
    folder = root / name
    with claim(root / ".work" / f"{name}-claim"):
        facts = _facts(name, config, root)
        if _is_there(folder, facts):
            return folder
        steps = _steps(config)
        _mark(root / ".work" / name, facts)
        with (
            _clocked(root / ".work" / name) as spent,
            Progress(f"training {name}", steps) as progress,
        ):
            place = Workplace(root, name, Runtime(device=device, progress=progress))
            maker: Maker = MODELS.load(name)
            made = maker.train(config, place)
        told = _said(maker, config) | _made(made, place, spent())
        card = write_model(folder, made.save, facts | told | _judges(name, root))
        shutil.rmtree(place.work, ignore_errors=True)
    _tell(card)
    return folder


def score(name: str, root: Path, config: ModelConfig, device: str = "auto") -> Card:
    """Judge a finished model again, by the judges that stand now; its files stay as they are.

    Raises
    ------
    StorageError : a model of another configuration is there.
    MissingDataError : the model, or one that judges it, is not there.
    ConfigError : it can be scored at the end of its training alone.
    """
    folder = root / name
    maker: Maker = MODELS.load(name)
    if maker.score is None:
        raise ConfigError(
            f"{name} is scored at the end of its training alone",
            expected=f"one of {', '.join(each for each in MODELS if MODELS.load(each).score)}",
            found=name,
            fix=f"remove {folder} and build it again",
        )
    with claim(root / ".work" / f"{name}-claim"):
        card = read_card(folder)
        _is_there(folder, _facts(name, config, root))
        found = maker.score(config, Workplace(root, name, Runtime(device=device)))
        scores = card["scores"] | {key: float(value) for key, value in found.items()}
        card |= {"scores": scores} | _said(maker, config) | _judges(name, root)
        write_card(folder, card)
    _tell(card)
    return card


def _judges(name: str, root: Path) -> Card:
    return {"judged_by": _identities(root, JUDGES.get(name, ()))}


def _tell(card: Card) -> None:
    for key, value in card["scores"].items():
        log.info("%s %s %.4g", card["model"], key, value)


def publish(name: str, root: Path, target: Path = EMBEDDED) -> Card:
    """Copy a finished model to the folder that ships with the package, in place of an older one."""
    return replace_model(root / name, target / name)


def _facts(name: str, config: ModelConfig, root: Path) -> Card:
    """What decides the model: its configuration, and the models it is made from."""
    return {
        "model": name,
        "config": {key.path: key.value for key in walk(config) if key.role == "science"},
        "made_from": _identities(root, NEEDS.get(name, ())),
    }


def _identities(root: Path, names: Iterable[str]) -> Card:
    return {name: identity(read_card(root / name)) for name in names}


def _is_there(folder: Path, facts: Card) -> bool:
    if not (folder / CARD).is_file():
        return False
    card = read_card(folder)
    changed = [key for key in ("config", "made_from") if card[key] != facts[key]]
    if changed:
        raise StorageError(
            f"another {facts['model']} is in the folder",
            file=folder,
            expected={key: facts[key] for key in changed},
            found={key: card[key] for key in changed},
            fix="remove the folder, or build under another --root",
        )
    return True


def _mark(work: Path, facts: Card) -> None:
    """Say in the work folder what is trained there, or refuse what was begun otherwise.

    Keys of the training itself are compared by its checkpoints.
    """
    mine = {
        "config": {k: v for k, v in facts["config"].items() if not k.startswith("training.")},
        "made_from": facts["made_from"],
    }
    file = work / "facts.json"
    begun = read_json(file) if file.is_file() else mine
    if begun != mine:
        raise StorageError(
            f"another {facts['model']} was begun here",
            file=work,
            expected=mine,
            found=begun,
            fix="remove the folder, or build under another --root",
        )
    ensure_folder(work)
    write_json(file, mine)


def _said(maker: Maker, config: ModelConfig) -> Card:
    return {"about": maker.about, "limits": maker.limits, "data": f"{maker.data(config)}."}


def _made(made: Made, place: Workplace, seconds: float) -> Card:
    return {
        "steps": made.steps,
        "cpu_seconds": round(seconds, 1),  # of all calls, where a run was resumed
        "device": str(place.device),
        "scores": {name: float(value) for name, value in made.scores.items()},
        "versions": {library: metadata.version(library) for library in _LIBRARIES},
    }


def _steps(config: ModelConfig) -> int:
    samples = sum(getattr(config.scenes, layout, 0) for layout in LAYOUTS)
    training: Any = config.training
    per_step = training.batch_size * training.accumulate
    return int(training.epochs) * -(-samples // int(per_step))


@contextmanager
def _clocked(work: Path) -> Iterator[Callable[[], float]]:
    """CPU seconds spent on a model so far, kept in its work folder from call to call."""
    file = work / "cpu_seconds.json"
    earlier = read_json(file)["seconds"] if file.is_file() else 0.0
    began = _cpu_seconds()

    def spent() -> float:
        return float(earlier) + _cpu_seconds() - began

    try:
        yield spent
    finally:
        ensure_folder(work)
        write_json(file, {"seconds": spent()})


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
