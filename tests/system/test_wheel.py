"""The wheel: what is in it, and that it works where no checkout is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.system.command import Ran, environment, run, tiny

pytestmark = pytest.mark.system

SOURCES = ("neuroattn", "tests", "conf", "workflows", "data_manifests")
FILES = ("pyproject.toml", "README.md", "LICENSE")
SHARED = ("conf", "workflows", "data_manifests")

Installed = Callable[..., Ran]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as a clone has them (git keeps no empty folder), and a lab's own defaults."""
    folder = tmp_path_factory.mktemp("sources")
    for name in FILES:
        shutil.copy(REPOSITORY / name, folder)
    hidden = shutil.ignore_patterns("__pycache__", "local", ".*")
    for name in SOURCES:
        if any(path.is_file() for path in (REPOSITORY / name).rglob("*")):
            shutil.copytree(REPOSITORY / name, folder / name, ignore=hidden)
    (folder / "conf" / "local").mkdir()
    (folder / "conf" / "local" / "default.yaml").write_text("seed: 3\n")
    # Without it the builder would not know what the repository does not track.
    shutil.copy(REPOSITORY / ".gitignore", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the tools of this environment."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    ran = run([*command, str(sources)], folder=out)
    assert ran.code == 0, ran.out + ran.err
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Runs a program of an environment with the wheel, from an empty folder.

    The requirements are borrowed from this environment, whose ``.pth`` files are not read
    there: so an editable install of the checkout cannot be what is imported.
    """
    home, folder = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--no-index", str(wheel)], env=environment(), check=True, timeout=120
    )
    borrowed = {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    (packages,) = (home / "lib").glob("python3*/site-packages")
    (packages / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")

    def call(program: str, *words: str) -> Ran:
        return run([str(home / "bin" / program), *words], folder=folder)

    return call


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("shared", SHARED)
def test_wheel_has_the_shared_files(wheel: Path, sources: Path, shared: str) -> None:
    found = {name for name in names(wheel) if name.startswith(f"neuroattn/_share/{shared}/")}
    expected = {
        f"neuroattn/_share/{path.relative_to(sources)}"
        for path in (sources / shared).rglob("*")
        if path.is_file() and "local" not in path.parts
    }
    assert expected
    assert found >= expected


def test_wheel_has_the_package_and_its_templates(wheel: Path, sources: Path) -> None:
    package = {str(path.relative_to(sources)) for path in (sources / "neuroattn").rglob("*.*")}
    assert names(wheel) >= {name for name in package if (sources / name).is_file()}
    assert {Path(name).name for name in names(wheel)} >= {
        "report.html.j2",
        "report.css",
        "py.typed",
    }


def test_wheel_has_nothing_else(wheel: Path) -> None:
    strangers = {
        name
        for name in names(wheel)
        if not name.startswith("neuroattn/") and ".dist-info/" not in name
    }
    assert not strangers
    assert not [name for name in names(wheel) if "tests" in Path(name).parts]


def test_wheel_leaves_a_labs_own_defaults_at_home(wheel: Path) -> None:
    assert not [name for name in names(wheel) if "/conf/local/" in name]


def test_import_comes_from_the_wheel(installed: Installed) -> None:
    code = "import sys, neuroattn; print(neuroattn.__file__); print(*sys.path, sep='\\n')"
    ran = installed("python", "-c", code)
    assert ran.code == 0, ran.err
    place, *path = ran.lines
    assert Path(place).parts[-3:] == ("site-packages", "neuroattn", "__init__.py")
    assert not Path(place).is_relative_to(REPOSITORY / "neuroattn")
    assert str(REPOSITORY) not in path


def test_help_and_config(installed: Installed) -> None:
    assert installed("neuroattn", "--help").code == 0
    ran = installed("neuroattn", "encode", "--cfg", "job")
    assert ran.code == 0, ran.err
    assert "backbone:" in ran.lines


def test_doctor_finds_everything(installed: Installed) -> None:
    ran = installed("neuroattn", "doctor")
    # How much room the machine has is not the wheel's matter.
    failed = [line for line in ran.lines if line.startswith("FAIL") and "free space" not in line]
    assert not failed
    assert {"packages", "weights", "shipped"} <= {line.split()[1] for line in ran.lines}


def test_tiny_chain(installed: Installed, tmp_path: Path) -> None:
    made = installed("neuroattn", "data", "generate", str(tmp_path / "data"))
    assert made.code == 0, made.err
    assert made.lines == [str(tmp_path / "data")]
    ran = installed("neuroattn", *tiny("report", tmp_path / "data", tmp_path / "root"))
    assert ran.code == 0, ran.err
    assert len(ran.lines) == 1
    folder = Path(ran.lines[-1])
    assert folder.parent == tmp_path / "root" / "report"
    assert (folder / "DONE").exists()
    assert (folder / "report.html").stat().st_size > 10_000
