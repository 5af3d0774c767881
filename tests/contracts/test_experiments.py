"""Every experiment composes, is built at full size, says what to expect, and runs small."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch._subclasses import FakeTensor, FakeTensorMode

from neuroattn.cli.compose import compose
from neuroattn.encoding.queries import asked_to_json, query_table
from neuroattn.encoding.registry import ENCODERS, EncoderConfig, QueryKind
from neuroattn.encoding.tokens import Shape
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.published import Certainty, ExpectedConfig, experiments, told
from tests.chain import Ran, neuroattn
from tests.nsd_copy import write_copy

NAMES = [name for name in experiments() if told(name)]
REQUIRED = {
    "adeli2025_rois", "adeli2025_vertices", "adeli2025_ensemble", "algonauts2023_adeli",
    "whole_brain_parcels", "fwrf", "klindt", "semantic_spatial", "efficient_probe",
    "berg_baseline",
}  # fmt: skip
SLOW = pytest.mark.slow
LONG = {"adeli2025_ensemble", "algonauts2023_adeli", "whole_brain_parcels"}  # to build, or alike
DECODED = {name for name in NAMES if told(name).get("stage") in ("decode", "ablate")}
TRAINED = [name for name in NAMES if told(name).get("parameters") and name not in DECODED]

NSDGENERAL = (19_004, 20_544)  # vertices of subject 1 on the left and on the right
FSAVERAGE = (163_842, 163_842)
TOKENS = {"dinov2_base": Shape((31, 31), 768), "resnet50": Shape((28, 28), 512)}
REGIONS = [
    "V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4", "EBA", "FBA-1", "FBA-2", "mTL-bodies", "OFA",
    "FFA-1", "FFA-2", "mTL-faces", "aTL-faces", "OPA", "PPA", "RSC", "OWFA", "VWFA-1", "VWFA-2",
    "mfs-words", "mTL-words",
]  # fmt: skip


def test_all_that_were_promised_are_there() -> None:
    assert set(NAMES) >= REQUIRED


@cache
def composed(name: str) -> RootConfig:
    return compose([f"experiment={name}"])


@pytest.mark.parametrize("name", NAMES)
def test_figures_carry_source_certainty_and_subject(name: str) -> None:
    published = told(name)  # that it composes, `test_schemas` shows
    for key in ("about", "source", "cost", "data"):
        assert len(published[key]) > 10
    assert published["expected"]
    for values in published["expected"]:
        certainty = Certainty(values.get("certainty", "unread"))
        row = ExpectedConfig(**{**values, "certainty": certainty})
        assert row.figure
        assert row.source
        assert (row.value is None) is (row.certainty is Certainty.unread)
        assert row.upper is None or row.value is not None
        assert row.value is None or row.tolerance > 0 or row.upper or "challenge" in row.figure


@pytest.mark.parametrize("name", NAMES)
def test_the_file_tells_its_command_and_names_no_other(name: str) -> None:
    text = experiments()[name].read_text()
    commands = re.findall(r"neuroattn reproduce (\w+)", text)
    assert set(commands) == {name} or name == "simulated_attention"
    assert "Not yet run by us" in text or told(name).get("simulated")


# --- full size


def vertices(counts: tuple[int, int]) -> pd.DataFrame:
    """Targets of both hemispheres: half of them in a region, each region in both."""
    sides = np.repeat(["lh", "rh"], counts)
    rows = np.arange(sum(counts))
    rois = ["" if row % 2 else REGIONS[row // 2 % len(REGIONS)] for row in rows]
    return pd.DataFrame(
        {"target": rows, "subject": "subj01", "hemisphere": sides, "vertex": rows, "rois": rois}
    )


def built(config: RootConfig, encoder: EncoderConfig, counts: tuple[int, int]) -> torch.nn.Module:
    """The core of an experiment's readout at its full size, without memory."""
    shapes = {"tokens": TOKENS[config.backbone.name]}
    readout, targets = ENCODERS.load(encoder.name)(encoder), vertices(counts)
    if getattr(encoder, "queries", None) is QueryKind.parcels:
        parcels = [f"{row % encoder.parcels:04d}" for row in range(sum(counts))]
        plan = asked_to_json(query_table(targets, QueryKind.parcels, parcels=parcels))
    else:
        plan = readout.plan(targets, shapes)
    with FakeTensorMode(allow_non_fake_inputs=True):  # meta tensors that know of the CPU's as well
        core: torch.nn.Module = readout.network(plan, shapes)
    return core


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=SLOW if n in LONG else ()) for n in TRAINED]
)
def test_parameters_and_memory_at_full_size(name: str) -> None:
    config = composed(name)
    member = next(iter(config.compare.members.values()), "")
    encoder = config.variant(member).encoder if member else config.encoder
    core = built(config, encoder, FSAVERAGE if name == "whole_brain_parcels" else NSDGENERAL)
    parameters = list(core.parameters())
    count = sum(part.numel() for part in parameters)
    assert all(isinstance(part, FakeTensor) for part in parameters), "nothing was allocated"
    assert count == config.published.parameters
    held = 4 * 4 * count / 1e9  # weights, gradients and two moments, in single precision
    assert config.published.memory_gb == pytest.approx(held, abs=0.005)


def test_the_counts_of_the_public_code_without_what_it_never_uses() -> None:
    unused = 2_413_120
    assert told("adeli2025_rois")["parameters"] == 36_805_564 - unused == 34_392_444
    assert told("adeli2025_vertices")["parameters"] == 67_140_028 - unused
    assert told("klindt")["parameters"] == 68_418_040
    core = built(composed("adeli2025_rois"), composed("adeli2025_rois").encoder, NSDGENERAL)
    assert sum(part.numel() for part in core.encoder.readout.parameters()) == 30_412_412
    probe = built(composed("efficient_probe"), composed("efficient_probe").encoder, NSDGENERAL)
    own = probe.queries.numel() + probe.value.weight.numel()
    assert own == 768**2 + 32 * 768, "d^2 + Q d, as the paper counts"


def test_the_ensemble_has_four_layers_and_ten_runs_weighed_as_published() -> None:
    config = composed("adeli2025_ensemble")
    lines = config.compare.members.values()  # composing each of them is left to the smoke test
    found = {re.fullmatch(r"encoder\.layers=\[(\S+)\] seed=(\d)", line).groups() for line in lines}
    assert {layer for layer, _ in found} == set(config.backbone.layers)
    assert len(found) == len(lines) == 40
    assert 1 / config.compare.temperature == pytest.approx(40)


# --- smoke size


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of NSD, one of the challenge, and a random network; outputs stand here."""
    import transformers as t

    root = tmp_path_factory.mktemp("small")
    write_copy(root / "nsd")
    shutil.rmtree(root / "nsd" / "nsddata_stimuli" / "stimuli" / "nsd" / "annotations")
    challenge(root / "challenge" / "subj01")
    sizes = {"hidden_size": 32, "num_hidden_layers": 12, "num_attention_heads": 2}
    vit = t.Dinov2Config(**sizes, patch_size=8, image_size=32, mlp_ratio=1)
    t.Dinov2Model(vit).save_pretrained(root / "dinov2_base")
    return root


def save_resnet(folder: Path) -> None:
    """A random network with two stages."""
    import transformers as t

    sizes = t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
    t.ResNetModel(sizes).save_pretrained(folder)


def challenge(folder: Path, images: int = 40, kept: int = 12) -> None:
    """The training half of a subject of Algonauts 2023, with random responses."""
    random = np.random.default_rng(0)
    pictures = folder / "training_split" / "training_images"
    fmri, masks = folder / "training_split" / "training_fmri", folder / "roi_masks"
    for place in (pictures, fmri, masks, folder / "test_split" / "test_images"):
        place.mkdir(parents=True)
    for image in range(images):
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"train-{image + 1:04d}_nsd-{image:05d}.png")
    test = folder / "test_split" / "test_images" / f"test-0001_nsd-{images:05d}.png"
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(test)
    chosen = (np.arange(2 * kept) % 2).astype(int)
    labels = np.arange(2 * kept) % 3
    names = np.array({0: "Unknown", 1: "V1v", 2: "V1d"}, dtype=object)
    np.save(masks / "mapping_prf-visualrois.npy", names, allow_pickle=True)
    for side in ("lh", "rh"):
        np.save(masks / f"{side}.all-vertices_fsaverage_space.npy", chosen)
        np.save(masks / f"{side}.prf-visualrois_fsaverage_space.npy", labels)
        np.save(masks / f"{side}.prf-visualrois_challenge_space.npy", labels[chosen > 0])
        values = random.standard_normal((images, kept)).astype(np.float32)
        np.save(fmri / f"{side}_training_fmri.npy", values)


# What an experiment needs to be small, beside `smaller`.
SMALL = {
    "berg_baseline": ("backbone=dinov2_base", "encoder.components=20"),  # timm is an extra
    "fwrf": ("encoder.centres=2",),
    "whole_brain_parcels": ("encoder.parcels=4", "dataset.nan_policy=drop_targets"),
    "semantic_spatial": ("backbone.pool=4",),
}


def smaller(name: str, small: Path) -> list[str]:
    """Overrides that make a shipped experiment small."""
    config = composed(name)
    network = "dinov2_base" if name == "berg_baseline" else config.backbone.name
    words = [
        f"paths.root={small}/root", f"backbone.model={small}/{network}", "runtime.threads=1",
        "backbone.untrained=true", "backbone.image_size=32", "runtime.workers=1",
        "scoring.permutations=20", "scoring.bootstraps=20", "scoring.attention_images=2",
    ]  # fmt: skip
    if config.dataset.name == "nsd":
        words += [f"dataset.root={small}/nsd", "dataset.rois=[prf-visualrois,streams]"]
    else:
        words.append(f"dataset.root={small}/challenge")
    if config.published.stage == "compare" and name != "semantic_spatial":
        words += [f"~compare.members.{member}" for member in list(config.compare.members)[2:]]
    members = config.compare.members
    if name == "semantic_spatial":  # of three readouts: what one knows, another does not
        short = {"semantic": "encoder.training.epochs=1", "factorised": "encoder.training.epochs=1"}
        words += [f"compare.members.{key}={members[key]} {short[key]}" for key in short]
    elif hasattr(config.encoder, "training"):
        words.append("encoder.training.epochs=1")
    return [*words, *SMALL.get(name, ())]


def reproduced(name: str, small: Path) -> Ran:
    ran = neuroattn("reproduce", name, *smaller(name, small))
    assert ran.code == 0, ran.err
    return ran


def test_the_main_experiment_runs_and_says_that_it_was_simulated(small: Path) -> None:
    ran = reproduced("adeli2025_rois", small)
    result = json.loads(ran.path.read_text())
    assert str(small) not in ran.path.read_text(), "a path of this machine"
    assert None not in [row["found"] for row in result["figures"]]
    assert {row["verdict"] for row in result["figures"]} == {"other data"}
    assert result["simulated"]
    assert "simulated responses" in ran.err
    assert "backbone.image_size" in result["changed"]
    assert "dataset.normalise" not in result["changed"], "as shipped"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REQUIRED - {"adeli2025_rois"}))
def test_every_experiment_runs_at_smoke_size(name: str, small: Path) -> None:
    if composed(name).backbone.name == "resnet50":
        save_resnet(small / "resnet50")
    result = json.loads(reproduced(name, small).path.read_text())
    assert result["experiment"] == name
    expected = composed(name).published.expected
    assert [row["figure"] for row in result["figures"]] == [row.figure for row in expected]
    assert result["artefacts"][-1]["stage"] == composed(name).published.stage
    missing = {row["figure"] for row in result["figures"] if row["found"] is None}
    assert missing <= {"challenge.score"}, "every other figure is measured"
