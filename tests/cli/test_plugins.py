"""Plug-ins as a user installs them; the good one is the example of docs/plugins.md itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.artefact import Artefact
from tests.conftest import REPOSITORY
from tests.system.command import PROGRAM, Ran, run, tiny

PAGE = REPOSITORY / "docs" / "plugins.md"
FILE = re.compile(r"^`(neuroattn-lab/[\w./-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^neuroattn .+$", re.MULTILINE)

Command = Callable[..., Ran]


def commands() -> list[list[str]]:
    """The commands of the page, word by word, without the program's name."""
    (block,) = re.findall(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return [line.split()[1:] for line in COMMAND.findall(block)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package that the page prints."""
    folder = tmp_path_factory.mktemp("plugin")
    for name, content in FILE.findall(PAGE.read_text()):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    words = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--no-compile"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *words, "--target", str(folder / "site"),
         str(folder / "neuroattn-lab")],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder / "site"


@pytest.fixture
def command(site: Path, tmp_path: Path) -> Command:
    """Run a command in an environment that has the plug-in."""
    return lambda *words: run(
        [PROGRAM, *words], folder=tmp_path, variables={"PYTHONPATH": str(site)}
    )


@pytest.fixture
def root(tiny_root: Path, tmp_path: Path) -> Path:
    """A root with the tiny chain in it, which may be written to."""
    return Path(shutil.copytree(tiny_root, tmp_path / "root"))


def test_a_readout_runs_through_encode(command: Command, tiny_data: Path, root: Path) -> None:
    (words,) = [words for words in commands() if words[0] == "encode"]
    keys = [word for word in words if word.startswith("encoder")]
    size = [word for word in tiny("encode", tiny_data, root) if not word.startswith("encoder.")]
    ran = command(*size, *keys)
    assert ran.code == 0, ran.err
    artefact = Artefact(Path(ran.lines[-1]))
    scores = artefact.table("scores.tsv")
    assert len(scores) == 6
    assert scores["weight_norm"].gt(0).all()
    assert artefact.fingerprint_payload["science"]["encoder.penalty"] == 0.5
    assert artefact.provenance["versions"]["neuroattn-lab"] == "0.1.0"
    assert artefact.has("fold-0/model.safetensors")
    assert "mean token of each layer" in artefact.methods


@pytest.mark.system
def test_all_four_kinds_make_one_chain(command: Command, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    colours = draw.integers(0, 256, (30, 3), dtype=np.uint8)
    pictures = np.broadcast_to(colours[:, None, None], (30, 32, 32, 3))
    (tmp_path / "two").mkdir()
    np.save(tmp_path / "two" / "pictures.npy", pictures)
    np.save(tmp_path / "two" / "responses.npy", colours @ draw.normal(size=(3, 4)))
    (words,) = [words for words in commands() if words[0] == "lab_best"]
    words = [word.replace("TWO_FILES", str(tmp_path / "two")) for word in words]
    ran = command(*words, f"paths.root={tmp_path / 'root'}", "backbone.image_size=32")
    assert ran.code == 0, ran.err
    best = Artefact(Path(ran.lines[-1]))
    assert best.stage == "lab_best"
    table = best.table("best.tsv")
    assert table["r"].is_monotonic_decreasing
    assert table["r"].min() > 0.8, "the responses are a linear rule of the colours"
    prepared = next((tmp_path / "root" / "prepare").iterdir())
    leaves = Artefact(prepared).fingerprint_payload["leaves"]
    assert set(leaves) == {"pictures.npy", "responses.npy"}


@pytest.mark.system
def test_jobs_in_other_processes_have_it_too(command: Command, tiny_data: Path, root: Path) -> None:
    size = [word for word in tiny("encode", tiny_data, root) if not word.startswith("encoder.")]
    ran = command(*size, "encoder=lab_pooled", "hydra/launcher=submitit_local", "--multirun")
    assert ran.code == 0, ran.err
    assert Path(ran.lines[0]).name.startswith("lab_pooled-")


def test_it_is_listed_and_its_keys_are_shown_and_checked(command: Command, tmp_path: Path) -> None:
    assert "  lab_best    the targets that a readout" in command("--help").out
    shown = command("encode", "encoder=lab_pooled", "--help").out
    assert re.search(r"^  encoder=.*lab_pooled", shown, re.MULTILINE)
    assert "  encoder.penalty=1.0\n      Penalty, in units of" in shown
    misspelt = command("encode", "encoder=lab_pooled", "encoder.penatly=1")
    assert misspelt.code == 2
    assert "expected: encoder.penalty" in misspelt.err
    assert not list(tmp_path.iterdir())


def install(folder: Path, body: str, name: str = "bad") -> None:
    """What pip leaves of a package with a plug-in: a module and its metadata."""
    (folder / f"{name}_plugin.py").write_text(textwrap.dedent(body))
    records = folder / f"{name}_lab-2.0.dist-info"
    records.mkdir()
    (records / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-lab\nVersion: 2.0\n")
    (records / "entry_points.txt").write_text(
        f"[neuroattn.plugins]\n{name} = {name}_plugin:register\n"
    )


BROKEN = {
    "import": ("import no_such_module", "cannot be loaded", "no_such_module"),
    "name": ("registar = None", "cannot be loaded", "register"),
    "collision": (
        """
        from neuroattn.core.registry import Entry
        from neuroattn.encoding.registry import RidgeConfig
        def register(catalogue):
            catalogue.add("encoder", "ridge", Entry(RidgeConfig, "mine:Ridge"))
        """,
        "is refused: encoder=ridge is registered twice",
        "mine:Ridge",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_one_is_one_clear_error(kind: str, tmp_path: Path) -> None:
    body, problem, told = BROKEN[kind]
    install(tmp_path, body)
    where = {"folder": tmp_path, "variables": {"PYTHONPATH": str(tmp_path)}}
    ran = run([PROGRAM, "encode", "--cfg", "job"], **where)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: the plug-in bad of bad-lab 2.0 ")
    assert problem in ran.err
    assert told in ran.err
    assert "Traceback" not in ran.err
    if kind == "import":
        assert "Traceback" in run([PROGRAM, "--debug", "status"], **where).err
