"""The shape of the house: every module has its test, every room is on the map, nothing sprawls."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "neuroattn"
MAP = REPOSITORY / "docs" / "architecture.md"

# Modules (or folders) whose test does not mirror their name, and the file that tests them.
# A row needs a reason: data without logic, or a part that only its caller can exercise.
ELSEWHERE = {
    "cli/reference.py": "tests/contracts/test_docs.py",  # docs/config.md is its only output
    "cli/searchpath.py": "tests/contracts/test_attacks.py",  # its only purpose is to refuse
    "core/logs.py": "tests/unit/cli/test_main.py",  # handlers, seen from a whole command
    "core/sections.py": "tests/contracts/test_schemas.py",  # schemas without logic
    "captioning/bank_stage.py": "tests/unit/captioning/test_bank.py",
    "captioning/linear.py": "tests/unit/captioning/test_stage.py",  # parts of one stage
    "captioning/told.py": "tests/unit/captioning/test_stage.py",
    "captioning/writing.py": "tests/unit/captioning/test_stage.py",
    "data/things_eeg2_files.py": "tests/unit/data/test_things_eeg2.py",
    "decoding/ablate_stage.py": "tests/unit/decoding/test_after_stages.py",
    "decoding/projections.py": "tests/unit/decoding/test_inputs.py",
    "decoding/shown.py": "tests/unit/decoding/test_stage.py",
    "decoding/sides.py": "tests/unit/decoding/test_stage.py",
    "decoding/trained.py": "tests/unit/decoding/test_decoders.py",
    "figures/prior.py": "tests/unit/decoding/test_prior_kept.py",  # drawn by the section's test
    "generators/backbone.py": "tests/unit/captioning/test_stage.py",  # backbone=space
    "synthesis/retrieval.py": "tests/unit/synthesis/test_stage.py",
    "data/algonauts2023_files.py": "tests/unit/data/test_algonauts2023.py",
    "data/laion_fmri_files.py": "tests/unit/data/test_laion_fmri.py",
    "data/manifests/": "tests/contracts/test_corruption.py",
    "data/nsd/": "tests/unit/data/nsd/test_reader.py",
    "data/simulate/": "tests/unit/data/simulate/test_write.py",
    "data/store_read.py": "tests/unit/data/test_store.py",
    "data/store_scale.py": "tests/unit/data/test_store.py",
    "data/volumes.py": "tests/unit/data/nsd/test_reader.py",
    "data/planted.py": "tests/unit/data/simulate/test_planted.py",  # needs a simulated folder
    "data/subject_store.py": "tests/unit/data/test_subjects.py",
    "encoding/banded.py": "tests/known_answer/test_closed_forms.py",
    "encoding/bands.py": "tests/known_answer/test_closed_forms.py",
    "encoding/efficient_probe.py": "tests/known_answer/test_rival_readouts.py",
    "encoding/field_ridge.py": "tests/known_answer/test_closed_forms.py",
    "encoding/fields.py": "tests/unit/encoding/test_factorised.py",
    "encoding/fwrf.py": "tests/known_answer/test_rival_readouts.py",
    "encoding/gaussian_rf.py": "tests/known_answer/test_rival_readouts.py",
    "encoding/pca_ridge.py": "tests/known_answer/test_closed_forms.py",
    "encoding/pooling.py": "tests/known_answer/test_closed_forms.py",
    "encoding/protocol.py": "tests/unit/encoding/test_stage.py",  # which images train, and rows
    "encoding/retina_map.py": "tests/known_answer/test_rival_readouts.py",
    "encoding/ridge_schemas.py": "tests/contracts/test_schemas.py",  # schemas without logic
    "encoding/semantic_spatial.py": "tests/known_answer/test_rival_readouts.py",
    "encoding/spatial.py": "tests/unit/encoding/test_rivals.py",
    "encoding/spatial_feature.py": "tests/unit/encoding/test_rivals.py",
    "encoding/start.py": "tests/unit/encoding/test_subjects.py",
    "encoding/subject_scores.py": "tests/unit/encoding/test_subjects.py",
    "encoding/trained_schemas.py": "tests/unit/encoding/test_rivals.py",
    "features/arrays_source.py": "tests/unit/features/test_sources.py",
    "features/captions_source.py": "tests/unit/features/test_sources.py",
    "features/hub_files.py": "tests/unit/features/test_hub.py",
    "features/open_clip_models.py": "tests/unit/features/test_timm_and_open_clip.py",
    "features/timm_models.py": "tests/unit/features/test_timm_and_open_clip.py",
    "figures/labels.py": "tests/unit/figures/test_cortex.py",  # labels are laid out for maps
    "figures/slices.py": "tests/unit/figures/test_attention.py",
    "figures/training.py": "tests/unit/figures/test_attention.py",
    "maps/canvas.py": "tests/unit/maps/test_stage.py",  # parts of one stage
    "maps/layers.py": "tests/unit/maps/test_stage.py",
    "maps/voxels.py": "tests/unit/maps/test_stage.py",
    "generators/__main__.py": "tests/unit/generators/test_build.py",  # parses words for build
    "generators/embeddings.py": "tests/unit/generators/test_captioner.py",  # cached for training
    "generators/contract.py": "tests/unit/generators/families/test_common.py",  # a protocol
    "generators/folders.py": "tests/unit/generators/families/test_opening.py",  # opens its folders
    "generators/families/": "tests/unit/generators/families/test_common.py",  # one contract for all
    "generators/library.py": "tests/unit/generators/test_sampling.py",  # one import
    "generators/making.py": "tests/unit/generators/test_build.py",  # what build hands to a model
    "generators/places.py": "tests/unit/generators/families/test_opening.py",  # files of a folder
    "reports/blocks.py": "tests/unit/reports/test_render.py",  # plain data that is rendered
    "reports/sections/": "tests/unit/reports/test_sections.py",  # one fabricated chain for all
    "synthesis/assess.py": "tests/unit/reports/test_synthesis.py",  # and its page
    "synthesis/evaluation_schemas.py": "tests/unit/synthesis/test_views.py",  # schemas and files
    "synthesis/guidance_schemas.py": "tests/unit/synthesis/test_methods.py",  # schemas
    "stats/planted.py": "tests/unit/stats/test_recovery.py",
    "stats/ceiling.py": "tests/known_answer/test_ceiling.py",
}
# Everyone writes registries; these contracts try each key of each of them.
REGISTRIES = ("tests/contracts/test_schemas.py", "tests/contracts/test_fingerprint_contract.py")

LINES = 450
MEDIAN, TAIL = 15, 40


def modules() -> list[Path]:
    """Every module of the package but ``__init__``."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def rooms() -> list[str]:
    """Folders of the package that hold code."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


@cache
def _imported() -> dict[str, set[Path]]:
    """Test files of known answers and units, by each dotted name that they import."""
    found: dict[str, set[Path]] = {}
    for test in (path for kind in ("unit", "known_answer") for path in _tests(kind)):
        for node in ast.walk(ast.parse(test.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names)):
                    found.setdefault(name, set()).add(test)
    return found


def _tests(kind: str) -> list[Path]:
    return sorted((REPOSITORY / "tests" / kind).rglob("test_*.py"))


def answering(module: Path) -> list[Path]:
    """Test files that answer for a module; they may not exist.

    The file that mirrors it, or those of units and known answers that import it by name, or the
    one that the list above gives.
    """
    name = module.relative_to(PACKAGE)
    mirror = REPOSITORY / "tests" / "unit" / name.parent / f"test_{name.name}"
    if mirror.is_file():
        return [mirror]
    importing = _imported().get(".".join(("neuroattn", *name.with_suffix("").parts)))
    if importing:
        return sorted(importing)
    for known, test in ELSEWHERE.items():
        if name.as_posix() == known or (known.endswith("/") and name.as_posix().startswith(known)):
            return [REPOSITORY / test]
    if name.name == "registry.py":
        return [REPOSITORY / test for test in REGISTRIES]
    return [mirror]


def test_every_module_has_a_test_that_mirrors_imports_or_is_named_for_it() -> None:
    missing = {
        str(module.relative_to(REPOSITORY)): str(test.relative_to(REPOSITORY))
        for module in modules()
        for test in answering(module)
        if not test.is_file()
    }
    assert not missing, "write these tests, or name another in ELSEWHERE with the reason"


def test_the_list_names_only_what_is_there_and_has_no_mirror() -> None:
    names = [module.relative_to(PACKAGE).as_posix() for module in modules()]
    for known in ELSEWHERE:
        covered = [name for name in names if name == known or name.startswith(known)]
        assert covered, f"{known} is gone: take it off the list"
        if not known.endswith("/"):
            mirror = REPOSITORY / "tests" / "unit" / Path(known).parent
            assert not (mirror / f"test_{Path(known).name}").is_file(), f"{known} has a mirror now"


@pytest.mark.parametrize("room", rooms())
def test_every_room_is_on_the_map(room: str) -> None:
    assert f"`{room}/`" in MAP.read_text(), f"say in {MAP.name} what {room}/ is for"


def test_the_map_names_every_folder_beside_the_package() -> None:
    hidden = ("neuroattn", "shared")
    folders = [path for path in REPOSITORY.iterdir() if path.is_dir() and path.name[0] not in "._"]
    text = MAP.read_text()
    kept = [path.name for path in folders if path.name not in hidden and _has_files(path)]
    made = {"demo_output", "dist", "build", "outputs", "wandb"}  # by commands, and not committed
    egg = {name for name in kept if name.endswith(".egg-info")}
    assert not [name for name in kept if name not in made | egg and f"`{name}/`" not in text]


def _has_files(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))


@pytest.mark.parametrize("folder", ["neuroattn", "benchmarks"])
def test_no_file_is_too_long(folder: str) -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines())
        for path in (REPOSITORY / folder).rglob("*.py")
    }
    assert not {name: count for name, count in lengths.items() if count >= LINES}


@cache
def functions() -> dict[str, int]:
    """Length of every function in lines, its docstring apart."""
    return {
        f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}": _length(node)
        for path in modules()
        for node in _definitions(path)
    }


def _definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    told = ast.get_docstring(node) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if told else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_functions_are_short() -> None:
    lengths = sorted(functions().values())
    assert statistics.median(lengths) <= MEDIAN
    assert lengths[int(0.95 * len(lengths))] < TAIL
    assert not {name: length for name, length in functions().items() if length > 2 * TAIL}
