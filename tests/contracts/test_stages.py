"""What every stage promises, asked of every stage in the catalogue: new ones get it for free."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from neuroattn.core.artefact import RECORDS, Artefact
from neuroattn.core.config import science_defaults, walk
from neuroattn.core.errors import ArtefactError, NeuroattnError
from neuroattn.core.fingerprint import file_digest
from neuroattn.core.sections import Device, Parents
from neuroattn.core.tracking import TrackingMode
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import plan
from neuroattn.pipeline.stages import catalogue
from tests.chain import (
    FIRST,
    SOME,
    Ran,
    build,
    config,
    fast_alone,
    neuroattn,
    node,
    payloads,
    with_parents,
    words,
)
from tests.faults import in_child, limit_files, obey_permissions, small_disk

STAGES = list(catalogue().stages)
MOST_LINES = 6

every_stage = pytest.mark.parametrize("stage", STAGES)


@pytest.fixture
def done(stage: str, tiny_data: Path, all_root: Path) -> Artefact:
    """The stage's artefact in the chain that all tests of a worker share. Read only."""
    return build(stage, tiny_data, all_root)


def _message(ran: Ran) -> list[str]:
    """The lines of what the command said went wrong; there is a problem and no traceback."""
    lines = ran.err.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    assert len(starts) == 1, ran.err
    assert "Traceback" not in ran.err
    return lines[starts[0] :]


def _check_refused(ran: Ran, *says: str, code: int = 1) -> None:
    told = _message(ran)
    assert ran.code == code, ran.err
    assert not ran.out
    assert len(told) < MOST_LINES, ran.err
    for word in says:
        assert word in "\n".join(told)


def _check_nothing_half_written(root: Path) -> None:
    assert not list(root.rglob(".*.tmp"))
    for done in root.glob("*/*/DONE"):
        Artefact(done.parent).verify()


# Skipping, naming, records


@every_stage
def test_a_second_run_skips(stage: str, done: Artefact, tiny_data: Path, all_root: Path) -> None:
    before = (done.folder / "DONE").stat().st_mtime_ns, (done.folder / "log.txt").read_text()
    began = time.process_time()
    ran = neuroattn(*words(stage, tiny_data, all_root))
    assert time.process_time() - began < 10
    assert (ran.code, ran.out) == (0, f"{done.folder}\n"), ran.err
    assert before == (
        (done.folder / "DONE").stat().st_mtime_ns,
        (done.folder / "log.txt").read_text(),
    )


def _executed_otherwise(made: RootConfig) -> RootConfig:
    """The same science in other blocks and with other workers, told to other places."""
    made.runtime.workers, made.runtime.device = 2, Device.cpu
    made.claims.wait = False
    made.notes = {"why": "another run"}
    made.tracking.project = "another"
    made.dataset.block_mib = 1
    for name, value in (("n_targets_batch", 2), ("tile_mib", 1)):
        if hasattr(made.encoder, name):
            setattr(made.encoder, name, value)
    return made


@pytest.mark.parametrize("stage", fast_alone(STAGES, SOME))
def test_elsewhere_and_otherwise_executed_it_is_the_same(
    stage: str, done: Artefact, tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    with_parents(stage, tiny_data, all_root, tmp_path)
    other = run_stage(stage, _executed_otherwise(config(stage, tiny_data, tmp_path)))
    assert other.folder == tmp_path / stage / done.label
    assert other.fingerprint == done.fingerprint
    assert other.files == done.files, "other payload bytes"


@every_stage
def test_execution_does_not_rename(stage: str, tiny_data: Path, tmp_path: Path) -> None:
    before = node(stage, tiny_data, tmp_path)
    for change in _EXECUTION:
        made = config(stage, tiny_data, tmp_path)
        change(made)
        after = plan(stage, made)
        assert (after.label, after.fingerprint.digest) == (before.label, before.fingerprint.digest)


def _set(path: str, value: object) -> Callable[[RootConfig], None]:
    def change(made: RootConfig) -> None:
        *sections, name = path.split(".")
        place: object = made
        for part in sections:
            place = getattr(place, part)
        assert getattr(place, name) != value, f"{path} is {value} already"
        setattr(place, name, value)

    return change


_EXECUTION = (
    _set("runtime.threads", 7), _set("runtime.workers", 5), _set("runtime.device", Device.cuda),
    _set("claims.wait", False), _set("parents", Parents.require), _set("notes", {"a": "b"}),
    _set("tracking.mode", TrackingMode.wandb_offline), _set("tracking.tags", ["x"]),
)  # fmt: skip


def test_the_seed_does_rename(tiny_data: Path, tmp_path: Path) -> None:
    made = config("encode", tiny_data, tmp_path)
    before = plan("encode", made).label
    made.seed = 1
    assert plan("encode", made).label != before


PROVENANCE = {
    "code", "versions", "command", "host", "slurm", "device", "threads", "seed", "started",
    "wall_seconds", "cpu_seconds", "peak_memory_bytes", "payload",
}  # fmt: skip


@every_stage
def test_its_records_are_whole(stage: str, done: Artefact, tiny_data: Path) -> None:
    there = {path.name for path in done.folder.iterdir()}
    assert there >= RECORDS - {"error.json"}
    assert not there & {"error.json", ".work"}
    assert done.fingerprint_payload.keys() == {
        "stage", "version", "science", "parents", "leaves",
    }  # fmt: skip
    assert done.fingerprint_payload["stage"] == stage
    assert done.provenance.keys() >= PROVENANCE
    assert done.provenance["code"].keys() == {"commit", "dirty"}
    assert {"python", "neuroattn", "torch", "numpy"} <= done.provenance["versions"].keys()
    assert done.provenance["peak_memory_bytes"] > 1e6
    parents = node(stage, tiny_data, done.folder.parents[1]).parents
    assert done.inputs == {
        name: {"label": parent.label, "fingerprint": parent.fingerprint.digest}
        for name, parent in parents.items()
    }
    assert f"{stage}/{done.label} is done" in (done.folder / "log.txt").read_text()


@every_stage
def test_its_metrics_are_flat_numbers_and_its_methods_a_sentence(
    stage: str, done: Artefact
) -> None:
    assert done.metrics
    for name, value in done.metrics.items():
        assert value is None or isinstance(value, int | float), name
        assert name == name.lower()
        assert " " not in name
    assert done.methods.endswith(".")
    rows = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1].keys() == {"step", *done.metrics}


@every_stage
def test_its_payload_is_listed_with_digest_and_size(stage: str, done: Artefact) -> None:
    present = {
        str(path.relative_to(done.folder))
        for path in done.folder.rglob("*")
        if path.is_file() and ".claim" not in path.parts
    }
    assert present - RECORDS == done.files.keys()
    assert done.files
    for name, entry in done.files.items():
        path = done.folder / name
        assert entry == {"sha256": file_digest(path), "bytes": path.stat().st_size}


@every_stage
def test_its_config_holds_every_key(stage: str, done: Artefact, tiny_data: Path) -> None:
    made = config(stage, tiny_data, done.folder.parents[1])
    kept = yaml.safe_load((done.folder / "config.yaml").read_text())
    kind = catalogue().stages[stage]
    own = science_defaults(walk(made), kind.reads, kind.ignores)
    for key in walk(made):
        place = kept
        for part in key.path.split("."):
            place = place[part]
        # Built as another stage's parent, it keeps that command's config; what it reads is one.
        if key.path in own:
            assert place == key.value, key.path


# Parents


WITH_PARENTS = [stage for stage in STAGES if stage not in FIRST]


@pytest.mark.parametrize("stage", WITH_PARENTS)
def test_parents_may_be_required(stage: str, tiny_data: Path, tmp_path: Path) -> None:
    made = config(stage, tiny_data, tmp_path)
    made.parents = Parents.require
    with pytest.raises(ArtefactError, match="parents=require") as caught:
        run_stage(stage, made)
    first = "encode" if stage == "compare" else "prepare"
    assert f"run: neuroattn {first}" in str(caught.value)
    assert not list(tmp_path.glob("*/*"))


def test_required_parents_that_are_there_are_used(
    tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    with_parents("features", tiny_data, all_root, tmp_path)
    ran = neuroattn(*words("features", tiny_data, tmp_path, "parents=require"))
    assert ran.code == 0, ran.err
    shutil.rmtree(tmp_path / "prepare")
    ran = neuroattn(*words("encode", tiny_data, tmp_path, "parents=require"))
    _check_refused(ran, "run: neuroattn prepare")
    assert not list(tmp_path.glob("encode/*"))


@pytest.mark.parametrize("stage", WITH_PARENTS)
def test_a_parent_may_be_named(stage: str, tiny_data: Path, all_root: Path) -> None:
    """By folder, label or fingerprint: the child is the same one, since the parent is."""
    build(stage, tiny_data, all_root)
    expected = node(stage, tiny_data, all_root)
    for name, parent in expected.parents.items():
        if "/" in name:  # one of several; compare.members names it (tests/unit/compare)
            continue
        digest = parent.fingerprint.digest
        for reference in (str(parent.folder), parent.label, digest, digest[:8]):
            made = config(stage, tiny_data, all_root)
            made.use = {name: reference}
            found = plan(stage, made)
            assert found.parents[name].folder == parent.folder
            assert found.fingerprint == expected.fingerprint


def test_a_named_parent_of_another_root_is_used_where_it_stands(
    tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    parent = node("prepare", tiny_data, all_root).folder
    ran = neuroattn(*words("features", tiny_data, tmp_path, f"use.prepare={parent}"))
    assert ran.code == 0, ran.err
    assert not (tmp_path / "prepare").exists()
    assert payloads(tmp_path).items() <= payloads(all_root).items()


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("0123456789abcdef", "names 0 artefacts"),
        ("features", "names 0 artefacts"),
        ("{other}", "is no prepare artefact"),
        ("{unfinished}", "no finished artefact"),
    ],
)
def test_a_wrong_reference_is_one_clear_error(
    reference: str, says: str, tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "half").mkdir()
    other = node("features", tiny_data, all_root).folder
    reference = reference.format(other=other, unfinished=tmp_path / "half")
    made = config("features", tiny_data, tmp_path)
    made.use = {"prepare": reference}
    with pytest.raises(NeuroattnError, match=says) as caught:
        run_stage("features", made)
    assert len(str(caught.value).splitlines()) < MOST_LINES
    assert "neuroattn status" in str(caught.value) or "run its stage again" in str(caught.value)
    assert not list(tmp_path.glob("*/*"))


def test_a_reference_for_what_is_no_stage_is_refused(tiny_data: Path, tmp_path: Path) -> None:
    ran = neuroattn(*words("features", tiny_data, tmp_path, "use.preprae=0123abcd"))
    _check_refused(ran, "preprae", "prepare | features", code=2)


# Damage


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@every_stage
def test_a_flipped_bit_in_any_file_is_found(stage: str, done: Artefact, tmp_path: Path) -> None:
    copy = tmp_path / done.label
    shutil.copytree(done.folder, copy)
    for name in done.files:
        _flip(copy / name)
        with pytest.raises(ArtefactError, match="not what was written") as caught:
            Artefact(copy).path(name)
        assert name in str(caught.value)
        _flip(copy / name)
    Artefact(copy).verify()
    _flip(copy / "provenance.json")
    with pytest.raises(ArtefactError, match="not what was written"):
        Artefact(copy)


@pytest.mark.parametrize("stage", WITH_PARENTS)
def test_a_child_does_not_read_a_damaged_parent(
    stage: str, tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    with_parents(stage, tiny_data, all_root, tmp_path)
    parents = node(stage, tiny_data, tmp_path).parents
    damaged = list(parents.values())[-1].folder
    for name in Artefact(damaged).files:
        _flip(damaged / name)
    with pytest.raises(ArtefactError, match=r"not what was written|damaged") as caught:
        build(stage, tiny_data, tmp_path)
    assert str(damaged) in str(caught.value)
    assert "delete" in str(caught.value)
    assert not list(tmp_path.glob(f"{stage}/*/DONE"))


@pytest.mark.slow
@pytest.mark.parametrize("stage", WITH_PARENTS)
def test_a_damaged_file_is_found_or_was_not_read(
    stage: str, done: Artefact, tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    """One file at a time: the child fails, or its bytes show that it had no use for the file."""
    with_parents(stage, tiny_data, all_root, tmp_path)
    place, found = node(stage, tiny_data, tmp_path), 0
    for parent in place.parents.values():
        for name in Artefact(parent.folder).files:
            _flip(parent.folder / name)
            with contextlib.suppress(ArtefactError):
                assert build(stage, tiny_data, tmp_path).files == done.files, name
                found -= 1
            found += 1
            _flip(parent.folder / name)
            shutil.rmtree(place.folder)
    assert found


# Disks


@pytest.mark.parametrize("where", ["", "below"])
def test_a_root_that_cannot_be_written(where: str, tiny_data: Path, tmp_path: Path) -> None:
    place = tmp_path / "closed"
    place.mkdir(mode=0o555)
    command = words("prepare", tiny_data, place / where)
    ran = in_child(lambda: neuroattn(*command), obey_permissions)
    _check_refused(ran, "permission denied", str(place / where), "paths.root=DIR")
    assert not list(place.iterdir())


def test_a_root_that_is_a_file(tiny_data: Path, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("mine")
    _check_refused(neuroattn(*words("prepare", tiny_data, place)), str(place), "paths.root=DIR")
    _check_refused(neuroattn(*words("prepare", tiny_data, place / "below")), str(place))
    assert place.read_text() == "mine"


def _told(stage: str, data: Path, root: Path) -> Ran:
    """Build without the command line and tell the error as it does."""
    try:
        return Ran(0, f"{build(stage, data, root).folder}\n", "")
    except NeuroattnError as error:
        return Ran(error.exit_code, "", f"error: {error}")


@pytest.mark.parametrize("stage", fast_alone(STAGES, SOME))
def test_a_full_disk_leaves_nothing_half_written(
    stage: str, done: Artefact, tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    """The limit is half of the largest file: what is written first still fits."""
    with_parents(stage, tiny_data, all_root, tmp_path)
    limit = max(entry["bytes"] for entry in done.files.values()) // 2
    ran = in_child(lambda: _told(stage, tiny_data, tmp_path), lambda: limit_files(limit))
    _check_refused(ran, "exceed the size limit", str(tmp_path / stage))
    assert not list(tmp_path.glob(f"{stage}/*/DONE"))
    _check_nothing_half_written(tmp_path)


def _on_small_disk(pages: int, data: Path, place: Path) -> None:
    with small_disk(place, 2 << 20) as disk:
        ballast = bytes(shutil.disk_usage(disk).free - pages * 4096)
        (disk / "ballast").write_bytes(ballast)
        root = disk / "root"
        ran = in_child(lambda: neuroattn(*words("prepare", data, root)), lambda: None)
        _check_refused(ran, "no space left", "free some space", str(disk))
        assert not list(root.glob("*/*/DONE"))
        _check_nothing_half_written(root)
        (disk / "ballast").unlink()
        ran = neuroattn(*words("prepare", data, root))
        assert ran.code == 0, ran.err
        _check_nothing_half_written(root)


@pytest.mark.parametrize("pages", [0, 18])
def test_a_disk_with_so_many_pages_left(pages: int, tiny_data: Path, tmp_path: Path) -> None:
    _on_small_disk(pages, tiny_data, tmp_path / "disk")


@pytest.mark.slow
@pytest.mark.parametrize("pages", range(1, 33))
def test_a_disk_that_fills_up_anywhere(pages: int, tiny_data: Path, tmp_path: Path) -> None:
    _on_small_disk(pages, tiny_data, tmp_path / "disk")
