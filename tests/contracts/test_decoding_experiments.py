"""Experiments of decoders: built at full size without memory, and run small."""

from __future__ import annotations

import json
import pickle
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensor, FakeTensorMode

from neuroattn.cli.compose import compose
from neuroattn.data.generated import generate
from neuroattn.data.simulate.things import Design, simulate_things
from neuroattn.decoding.decoder import DecodingSet, SubjectRows
from neuroattn.decoding.inputs import SubjectInput
from neuroattn.decoding.network import DecoderNetwork
from neuroattn.decoding.registry import DECODERS
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.published import experiments, told
from tests.chain import neuroattn
from tests.nsd_copy import write_copy
from tests.unit.decoding.side import Store, space_of

NSDGENERAL = {"subj01": 15_724, "subj02": 14_278, "subj05": 13_039, "subj07": 12_682}
WIDTHS = {
    "mindeye2_nsd_retrieval": list(NSDGENERAL.values()),
    "wave_bold5000": [5 * 1024],
    "network_ablation": [2048],
}
PICTURES, CAPTIONS = 1024, 2048  # numbers of a ViT-L/14's one vector, and of hashed captions
NAMES = [*WIDTHS, "ridge_retrieval"]


@cache
def composed(name: str) -> RootConfig:
    return compose([f"experiment={name}"])


def built(config: RootConfig, widths: list[int]) -> DecoderNetwork:
    decoder = config.decoder
    blocks = 1 + len(decoder.target.also)
    dim = PICTURES + CAPTIONS * len(decoder.target.also)
    none = np.empty(0, dtype=np.int64)
    nothing = np.empty(0, dtype=np.float32)
    given = SubjectInput(none, 1, nothing, nothing)
    rows = [SubjectRows("", given, np.empty((0, width), np.float32), none) for width in widths]
    train = DecodingSet(
        subjects=rows, space=space_of(Store(1)), selection=("", none), forbidden=none,
        make_prior=lambda _bank: None, seed=0, work=Path(),
    )  # fmt: skip
    with FakeTensorMode(allow_non_fake_inputs=True):
        encoder = DECODERS.load(decoder.name)(decoder).encoder(train)
        return DecoderNetwork(encoder, dim, blocks, decoder)


@pytest.mark.parametrize("name", WIDTHS)
def test_parameters_and_memory_at_full_size(name: str) -> None:
    config = composed(name)
    parameters = [part for part in built(config, WIDTHS[name]).parameters() if part.requires_grad]
    assert all(isinstance(part, FakeTensor) for part in parameters), "nothing was allocated"
    count = sum(part.numel() for part in parameters)
    assert count == config.published.parameters
    assert config.published.memory_gb == pytest.approx(4 * 4 * count / 1e9, abs=0.005)


@pytest.mark.parametrize("name", NAMES)
def test_they_say_what_to_expect(name: str) -> None:
    assert told(name)["stage"] in ("decode", "ablate")
    assert composed(name).decoder.name in DECODERS


SMALL = (
    "backbone=efficientnet_lite0", "backbone.image_size=64", "backbone.layers=[blocks.4]",
    "decoder.evaluation.permutations=19", "decoder.evaluation.bootstraps=20", "runtime.threads=1",
)  # fmt: skip
NSD = ("dataset.subjects=[subj01]", "dataset.space=fsaverage", "dataset.split.kind=random")
RIDGE_MLP = ("decoder.hidden=16", "decoder.blocks=1", "decoder.training.epochs=3")
THINGS = ("dataset.window=[]", "decoder.training.epochs=3", "backbone.blur.levels=[10,20,30]")
OWN = {
    "mindeye2_nsd_retrieval": (*NSD, "dataset.rois=[prf-visualrois,streams]", *RIDGE_MLP),
    "ridge_retrieval": (*NSD, "dataset.rois=[prf-visualrois,streams]", "decoder.n_alphas=3"),
    "network_ablation": (
        *NSD, *RIDGE_MLP, "dataset.rois=[prf-visualrois]", "decoder.input.components=16",
        "ablation.networks=atlas", "ablation.atlas=[{data}/networks.tsv]", "ablation.controls=3",
        "ablation.parcels=20",
    ),
    "ubp_nsd": (
        *NSD, *RIDGE_MLP, "dataset.rois=[prf-visualrois]", "backbone.blur.levels=[8,20]",
        "prior.strength=8",
    ),
    "wave_bold5000": (
        "decoder.dim=12", "decoder.depth=1", "decoder.training.epochs=1", "decoder.input.trs=2",
        "dataset.split.kind=random",
    ),
    "ubp_things_eeg2": (*THINGS, "dataset.channels=[O1,Oz,O2]", "dataset.subjects=[sub-02]"),
    "ubp_things_meg": (*THINGS, "dataset.subjects=[sub-02]"),
}  # fmt: skip
THINGS_SIZE = Design(
    subjects=2, concepts=12, each=3, test=8, repeats=2, test_repeats=3, samples=20, side=32
)


def write_data(name: str, folder: Path) -> None:
    """A stand-in in the form of the dataset of an experiment."""
    dataset = composed(name).dataset.name
    if dataset == "nsd":
        write_copy(folder)
        shutil.rmtree(folder / "nsddata_stimuli" / "stimuli" / "nsd" / "annotations")
        names = ("default", "visual", "limbic")
        rows = [f"{target}\t{names[target % 3]}" for target in range(480)]
        (folder / "networks.tsv").write_text("\n".join(["target\tnetwork", *rows]) + "\n")
    elif dataset in ("things_eeg2", "things_meg"):
        simulate_things(folder, THINGS_SIZE)
        if dataset == "things_meg":
            as_meg(folder)
    else:
        generate(folder, images=40, targets=6, repeats=2)
        texts = {str(image): [f"a scene of {image % 5} things"] for image in range(40)}
        (folder / "captions.json").write_text(json.dumps(texts))


def as_meg(folder: Path) -> None:
    """The same epochs as 271 channels, in the archives that the paper's authors publish."""
    for path in sorted(folder.glob("sub-*/preprocessed_eeg_*.npy")):
        values = pickle.loads(path.read_bytes())["preprocessed_eeg_data"]
        side = path.stem.removeprefix("preprocessed_eeg_")
        shown = values[:, :1] if side == "training" else values  # training pictures came once
        content = {
            "eeg": shown[:, :, np.resize(np.arange(shown.shape[2]), 271)].astype(np.float16),
            "img": [str(one.relative_to(folder)) for one in sorted(folder.glob(f"{side}_*/*/*"))],
        }
        place = folder / "Preprocessed_data" / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        torch.save(content, place / f"{side.removesuffix('ing')}.pt", pickle_protocol=5)
        path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_every_experiment_runs_at_smoke_size(name: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_data(name, data)
    words = [f"dataset.root={data}", f"paths.root={tmp_path / 'root'}", *SMALL]
    ran = neuroattn("reproduce", name, *words, *(word.format(data=data) for word in OWN[name]))
    assert ran.code == 0, ran.err
    result = json.loads(ran.path.read_text())
    expected = [row.figure for row in composed(name).published.expected]
    assert [row["figure"] for row in result["figures"]] == expected
    absent = [row["figure"] for row in result["figures"] if row.get("found") is None]
    assert all("300way" in figure for figure in absent), "but for the size, keys are those written"


def test_every_decoding_experiment_has_a_smoke_size() -> None:
    known = {name: told(name) for name in experiments() if told(name)}
    recorded = {name for name, about in known.items() if not about.get("simulated")}
    stages = {name: known[name].get("stage") for name in recorded}
    assert set(OWN) == {name for name, stage in stages.items() if stage in ("decode", "ablate")}


@pytest.mark.slow
def test_seeds_and_subjects_come_to_one_table(tmp_path: Path) -> None:
    name = "ubp_things_eeg2"
    data = tmp_path / "data"
    write_data(name, data)
    own = [word for word in OWN[name] if not word.startswith("dataset.subjects")]
    runs = "dataset.subjects=[sub-01],[sub-02] seed=0,1 prior=ubp,none"
    ran = neuroattn(
        "report", f"experiment={name}", f"dataset.root={data}", f"paths.root={tmp_path / 'root'}",
        *SMALL, *own, "dataset.subjects=[sub-01]", "report.stages=[decode]",
        f"report.decoders=['{runs}']",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert len(list((tmp_path / "root" / "decode").glob("*/DONE"))) == 8
    page = (ran.path / "report.html").read_text()
    assert "eeg_project-ubp less each other decoder" in page
    assert page.count("mean of 2 (95 % over subjects)") == 16, "variants, directions, top k, raw"
