"""Configs and data that try to run code: nothing executes, and the message says where they stand.

What would execute makes a file. After each attack the file must not be there.
"""

from __future__ import annotations

import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.core.config_loader import ConfigLoader

from neuroattn.cli import guard
from neuroattn.cli.compose import config_loader, load, load_job, typed
from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import NeuroattnError, SecurityError
from neuroattn.encoding.registry import RidgeConfig
from neuroattn.pipeline.build import run_stage
from neuroattn.training.checkpoint import read_state
from neuroattn.training.weights import read_weights
from tests.chain import Ran, build, config, neuroattn, words


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """What an attack would make; here to be checked whatever else a test looks at."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "foreign code ran"


@pytest.fixture(scope="module")
def loader() -> Iterator[ConfigLoader]:
    with config_loader() as made:
        yield made


def _compose(loader: ConfigLoader, *overrides: str) -> Any:
    """What every command does first, apart from Hydra's own run."""
    composed = load(loader, overrides, multirun=True)
    guard.check(loader, composed, overrides)
    return typed(composed)


def _check_refused(ran: Ran, *says: str) -> None:
    assert ran.code == 2, ran.err
    assert not ran.out
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) < 8, ran.err
    for word in says:
        assert word in ran.err


# On the command line


TOUCH = "{_target_: pathlib.Path.touch, self: CANARY}"
TYPED = {
    "a callback": f"+hydra.callbacks.evil={TOUCH}",
    "a callback over all": f"++hydra.callbacks={{evil: {TOUCH}}}",
    "hydra at once": f"++hydra={{callbacks: {{evil: {TOUCH}}}}}",
    "a handler": "+hydra.job_logging.handlers.evil={\\(\\): pathlib.Path.touch, self: CANARY}",
    "a handler's class": "hydra.job_logging.handlers.console.class=pathlib.Path",
    "a formatter": "+hydra.hydra_logging.formatters.evil={\\(\\): pathlib.Path}",
    "a stream": "hydra.job_logging.handlers.console.stream=ext://pathlib.Path",
    "a log file": "hydra.job_logging.handlers.file.filename=CANARY",
    "a filter": "+hydra.job_logging.filters.evil={\\(\\): pathlib.Path}",
    "another logging": "hydra/job_logging=default",
    "a launcher's code": "hydra.launcher._target_=pathlib.Path",
    "a sweeper's code": "hydra.sweeper._target_=pathlib.Path",
    "the environment": "+hydra.job.env_set.LD_PRELOAD=CANARY",
    "a target at the top": "+_target_=pathlib.Path",
    "a target in a group": f"+dataset.evil={TOUCH}",
    "a target in a section": f"+dataset.split.evil={TOUCH}",
    "a target in a list": f"backbone.layers=[{TOUCH}]",
    "a target in a list of lists": f"+encoder.evil=[[{TOUCH}]]",
    "a target in the notes": f"+notes={{evil: {TOUCH}}}",
    "a target in the runtime": "+runtime._target_=pathlib.Path",
    "a target in the report": "+report._partial_=true",
    "a package": "hydra.searchpath=[pkg://canary_package]",
    "a package among folders": "hydra.searchpath=['file:///tmp', 'pkg://canary_package']",
    "a package by force": "++hydra.searchpath=[pkg://canary_package.conf]",
    "packages in turn": "hydra.searchpath=[pkg://canary_package],[pkg://other]",
    "a search in the dark": "hydra.searchpath=['${oc.env:HOME}']",
}


@pytest.fixture
def evil_package(canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose import is the attack."""
    folder = tmp_path / "site" / "canary_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(f"open({str(canary)!r}, 'w')\n")
    (folder / "conf").mkdir()
    (folder / "conf" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(folder.parent))


@pytest.mark.usefixtures("evil_package")
@pytest.mark.parametrize("attack", TYPED)
def test_what_is_typed(attack: str, loader: ConfigLoader, canary: Path) -> None:
    word = TYPED[attack].replace("CANARY", str(canary))
    with pytest.raises(NeuroattnError) as caught:
        _compose(loader, word)
    assert caught.value.exit_code == 2
    text = str(caught.value)
    key = word.lstrip("+").partition("=")[0].replace("/", ".")
    assert key in text or key.rpartition(".")[0] in text
    assert len(text.splitlines()) < 8
    assert "canary_package" not in sys.modules


@pytest.mark.parametrize("kind", ["launcher", "sweeper", "output", "job_logging", "callbacks"])
def test_foreign_choices_of_hydra(kind: str, loader: ConfigLoader, tmp_path: Path) -> None:
    (tmp_path / "hydra" / kind).mkdir(parents=True)
    (tmp_path / "hydra" / kind / "evil.yaml").write_text("_target_: os.mkdir\n")
    folder = f"hydra.searchpath=['file://{tmp_path}']"
    sign = "+" if kind in ("callbacks",) else ""
    with pytest.raises(NeuroattnError) as caught:
        _compose(loader, folder, f"{sign}hydra/{kind}=evil")
    assert kind in str(caught.value)


@pytest.mark.usefixtures("evil_package")
def test_a_sweep_cannot_bring_a_package(loader: ConfigLoader, canary: Path) -> None:
    master = load(loader, [], multirun=True)
    with pytest.raises(SecurityError, match="folders only"):
        load_job(loader, master, ["hydra.searchpath=[pkg://canary_package]"])


@pytest.mark.parametrize(
    "word",
    [TYPED["a callback"], TYPED["a handler"], TYPED["a package"], "hydra/launcher=evil"],
)
@pytest.mark.usefixtures("evil_package")
def test_the_commands_refuse_it(word: str, tiny_data: Path, tmp_path: Path, canary: Path) -> None:
    word = word.replace("CANARY", str(canary))
    root = tmp_path / "root"
    _check_refused(neuroattn(*words("prepare", tiny_data, root, word)), "error: ")
    _check_refused(neuroattn("plan", "prepare", word), "error: ")
    assert not root.exists(), "refused before anything is written"


# In files


CALLBACK = "hydra: {callbacks: {evil: {_target_: pathlib.Path.touch, self: CANARY}}}"
SUBMITIT = "defaults: [{override /hydra/launcher: submitit_slurm}]\n"
FILES = {
    "a callback": CALLBACK,
    "a handler": "hydra: {job_logging: {handlers: {evil: {'()': os.mkdir, path: CANARY}}}}",
    "the environment": "hydra: {job: {env_set: {PYTHONPATH: CANARY}}}",
    "a searchpath": "hydra: {searchpath: ['pkg://canary_package']}",
    "a target": "dataset: {evil: {_target_: os.mkdir, path: CANARY}}",
    "a target by name": "encoder: {_target_: os.mkdir}",
    "a sweep's callback": "hydra: {mode: MULTIRUN, sweeper: {params: {"
    "'+hydra.callbacks.evil': '{_target_: os.mkdir, path: CANARY}'}}}",
    "a python tag": "seed: !!python/object/apply:os.mkdir [CANARY]",
    "a new python object": "notes: !!python/object/new:os.mkdir [CANARY]",
    "a job's shell code": f"{SUBMITIT}hydra: {{launcher: {{setup: ['touch CANARY']}}}}",
    "a job's directives": f"{SUBMITIT}hydra: {{launcher: {{additional_parameters: {{a: b}}}}}}",
    "a job's comment": f'{SUBMITIT}hydra: {{launcher: {{comment: "a\\ntouch CANARY\\n"}}}}',
    "a job's comment from afar": f"{SUBMITIT}hydra: {{launcher: {{comment: '${{notes.a}}'}}}}\n"
    'notes: {a: "b\\ntouch CANARY"}',
    "a job's name": f'{SUBMITIT}hydra: {{job: {{name: "a\\ntouch CANARY"}}}}',
    "a job's folder": f'{SUBMITIT}hydra: {{sweep: {{dir: "a\\ntouch CANARY"}}}}',
}


@pytest.mark.usefixtures("evil_package")
@pytest.mark.parametrize("attack", FILES)
def test_what_an_experiment_file_says(
    attack: str, tiny_data: Path, tmp_path: Path, canary: Path
) -> None:
    file = tmp_path / "lab" / "experiment" / "evil.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# @package _global_\n" + FILES[attack].replace("CANARY", str(canary)) + "\n")
    overlay = ["--config-dir", str(tmp_path / "lab"), "experiment=evil"]
    ran = neuroattn(*words("prepare", tiny_data, tmp_path / "root"), *overlay)
    _check_refused(ran, "error: ")
    assert "canary_package" not in sys.modules
    assert not list((tmp_path / "root").glob("prepare/*"))


def test_shell_code_that_is_typed_does_not_excuse_a_file(
    loader: ConfigLoader, tmp_path: Path
) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "evil.yaml").write_text(
        f"# @package _global_\n{SUBMITIT}hydra: {{launcher: {{setup: [evil]}}}}\n"
    )
    folder = f"hydra.searchpath=['file://{tmp_path}']"
    mine = "+hydra.launcher.additional_parameters.reservation=lab"
    with pytest.raises(SecurityError, match=r"hydra\.launcher\.setup"):
        _compose(loader, folder, "experiment=evil", mine)
    own = "hydra.launcher.setup=['module load cuda']"
    assert _compose(loader, "hydra/launcher=submitit_slurm", mine, own)


# Hydra takes a file with a schema's name for one that should be merged with it, and warns.
@pytest.mark.filterwarnings("ignore:.*automatic schema matching:UserWarning")
@pytest.mark.filterwarnings("ignore:(?s).*is validated against ConfigStore schema:UserWarning")
@pytest.mark.parametrize("shadow", ["launcher/submitit_local", "launcher/basic", "sweeper/basic"])
def test_an_overlay_cannot_take_the_name_of_a_known_launcher(
    shadow: str, loader: ConfigLoader, tmp_path: Path
) -> None:
    file = (tmp_path / "lab" / "hydra" / shadow).with_suffix(".yaml")
    file.parent.mkdir(parents=True)
    file.write_text("_target_: pathlib.Path.touch\n")
    folder = f"hydra.searchpath=['file://{tmp_path / 'lab'}']"
    with pytest.raises(SecurityError, match="_target_"):
        _compose(loader, folder, f"hydra/{shadow.replace('/', '=')}")


@pytest.mark.filterwarnings("ignore:(?s).*is validated against ConfigStore schema:UserWarning")
def test_a_file_in_the_place_of_a_schema_stays_typed(loader: ConfigLoader, tmp_path: Path) -> None:
    """Untyped keys would be science that no fingerprint sees."""
    file = tmp_path / "schema" / "encoder" / "ridge.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("name: ridge\nstandardise: false\n")
    folder = f"hydra.searchpath=['file://{tmp_path}']"
    made = _compose(loader, folder, "encoder=ridge")
    assert isinstance(made.encoder, RidgeConfig)
    assert science_values(walk(made), ("encoder",))["encoder.standardise"] is False
    file.write_text("name: ridge\nevil: 5\n")
    with pytest.raises(NeuroattnError, match="evil"):
        _compose(loader, folder, "encoder=ridge")


def test_a_recipe_with_a_python_tag(tmp_path: Path, canary: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(f"about: !!python/object/apply:os.mkdir [{canary}]\nsteps: []\n")
    ran = neuroattn("run", str(file))
    _check_refused(ran, str(file))


# Interpolations read; they do not run


def test_interpolations_that_are_allowed(
    loader: ConfigLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUROATTN_TEST", "$(touch canary)")
    made = _compose(loader, "+notes.a='${oc.env:NEUROATTN_TEST}'", "+notes.b='${seed}'")
    assert made.notes == {"a": "$(touch canary)", "b": "0"}


@pytest.mark.parametrize("call", ["eval", "oc.eval", "python", "hydra.utils.call", "sh"])
def test_interpolations_that_nobody_registered(call: str, loader: ConfigLoader) -> None:
    with pytest.raises(NeuroattnError, match=r"notes\.a") as caught:
        _compose(loader, f"+notes.a='${{{call}:1}}'")
    assert len(str(caught.value).splitlines()) < 8


# In data


class Evil:
    """Whoever unpickles it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def _objects(data: Path, canary: Path) -> str:
    np.save(data / "responses.npy", np.array([[Evil(canary)]], dtype=object), allow_pickle=True)
    return "responses.npy"


def _bare_pickle(data: Path, canary: Path) -> str:
    (data / "responses.npy").write_bytes(pickle.dumps(Evil(canary), protocol=4))
    return "responses.npy"


def _old_pickle(data: Path, canary: Path) -> str:
    (data / "responses.npy").write_bytes(pickle.dumps(Evil(canary), protocol=0))
    return "responses.npy"


def _pictures(data: Path, canary: Path) -> str:
    shutil.rmtree(data / "images")
    content = np.array([Evil(canary)] * 24, dtype=object)
    np.save(data / "images.npy", content, allow_pickle=True)
    return "images.npy"


def _archive(data: Path, canary: Path) -> str:
    """Some hundred kilobytes that would unpack to gigabytes."""
    (data / "responses.npy").unlink()
    with zipfile.ZipFile(data / "responses.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("responses.npy", bytes(1 << 20))
    return "responses"


def _archive_in_disguise(data: Path, canary: Path) -> str:
    _archive(data, canary)
    (data / "responses.npz").rename(data / "responses.npy")
    return "responses.npy"


def _tagged(data: Path, canary: Path) -> str:
    with open(data / "dataset.yaml", "a") as handle:
        handle.write(f"\nextra: !!python/object/apply:os.mkdir [{canary}]\n")
    return "dataset.yaml"


@pytest.mark.parametrize(
    "damage",
    [_objects, _bare_pickle, _old_pickle, _pictures, _archive, _archive_in_disguise, _tagged],
)
def test_datasets_that_would_run_code(
    damage: Callable[[Path, Path], str], tiny_data: Path, tmp_path: Path, canary: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    name = damage(data, canary)
    with pytest.raises(NeuroattnError) as caught:
        build("prepare", data, tmp_path / "root")
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) < 8
    assert not list((tmp_path / "root").glob("*/*/DONE"))


def _torch_file(path: Path, canary: Path) -> None:
    torch.save({"model": Evil(canary)}, path)


def _plain_pickle(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps({"model": Evil(canary)}))


@pytest.mark.parametrize("write", [_torch_file, _plain_pickle])
@pytest.mark.parametrize("read", [read_state, read_weights])
def test_weights_that_would_run_code(
    read: Callable[[Path], Any], write: Callable[[Path, Path], None], tmp_path: Path, canary: Path
) -> None:
    file = tmp_path / "state.pt"
    write(file, canary)
    with pytest.raises(NeuroattnError, match=r"state\.pt"):
        read(file)


@pytest.mark.parametrize("write", [_torch_file, _plain_pickle])
def test_a_backbone_that_would_run_code(
    write: Callable[[Path, Path], None], tiny_data: Path, tmp_path: Path, canary: Path
) -> None:
    file = tmp_path / "weights.pth"
    write(file, canary)
    made = config("features", tiny_data, tmp_path / "root")
    made.backbone.weights = str(file)
    with pytest.raises(NeuroattnError, match=r"weights\.pth"):
        run_stage("features", made)
    assert not list((tmp_path / "root").glob("features/*/DONE"))


HOSTILE = "<script>fetch('//x')</script>"


def test_names_from_tables_reach_the_page_as_text(tiny_data: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    rois = (data / "rois.tsv").read_text()
    (data / "rois.tsv").write_text(rois.replace("early_sim", HOSTILE))
    description = yaml.safe_load((data / "dataset.yaml").read_text())
    description.update(name=HOSTILE, species=HOSTILE, citation=HOSTILE, licence=HOSTILE)
    (data / "dataset.yaml").write_text(yaml.safe_dump(description))
    report = build("report", data, tmp_path / "root")
    page = report.path("report.html").read_text()
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;fetch(") > 4
