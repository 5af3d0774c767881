"""The data registry: schemas, choices and the declaration of ``prepare``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import load
from neuroattn.data.registry import (
    DATASETS,
    STAGES,
    ArraysConfig,
    CeilingConfig,
    Normalise,
    ResponsesMode,
    SplitConfig,
    SplitKind,
)


def test_every_dataset_has_a_reader_and_leaves() -> None:
    for name, entry in DATASETS.items():
        assert entry.schema().name == name
        assert callable(DATASETS.load(name))
        assert callable(load(entry.leaves))


@pytest.mark.parametrize(
    "wrong", [{"folds": 1}, {"test_fraction": 0.0}, {"test_fraction": 1.0}], ids=str
)
def test_split_ranges_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SplitConfig(**wrong)


def test_paths_and_blocks_are_no_science_and_split_and_mode_are_ignored() -> None:
    config = ArraysConfig(
        root="somewhere",
        block_mib=1,
        subjects=["1"],
        responses=ResponsesMode.single,
        normalise=Normalise.session_train,
        ceiling=CeilingConfig(threshold=0.5),
        split=SplitConfig(kind=SplitKind.random, file="split.json"),
    )
    stage = STAGES[0]
    reads = tuple(name.removeprefix("dataset.") for name in stage.ignores)
    assert science_values(
        walk(config),
        ("name", "root", "subjects", "responses", "normalise", "ceiling", "split"),
        reads,
    ) == {
        "name": "arrays",
        "subjects": ["1"],
    }
    assert {key.path for key in walk(config) if key.role == "undeclared"} == set()


def test_the_registry_and_the_leaves_import_nothing_heavy() -> None:
    code = (
        "import sys; import neuroattn.data.registry, neuroattn.data.dataset, "
        "neuroattn.data.arrays_files; "
        "print([m for m in ('torch', 'pandas', 'h5py', 'scipy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
