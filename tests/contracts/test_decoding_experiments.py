"""Experiments of decoders: built at full size without memory, and run small."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from torch._subclasses import FakeTensor, FakeTensorMode

from neuroattn.cli.compose import compose
from neuroattn.data.generated import generate
from neuroattn.decoding.decoder import DecodingSet, SubjectRows
from neuroattn.decoding.inputs import SubjectInput
from neuroattn.decoding.network import DecoderNetwork
from neuroattn.decoding.registry import DECODERS
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.published import told
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
    "dataset.split.kind=random",
)  # fmt: skip
OWN = {
    "mindeye2_nsd_retrieval": (
        "decoder.hidden=16", "decoder.blocks=1", "decoder.training.epochs=3",
    ),
    "wave_bold5000": (
        "decoder.dim=12", "decoder.depth=1", "decoder.training.epochs=1", "decoder.input.trs=2",
        "decoder.target.also=[]", "decoder.target.also_weights=[]",
    ),
    "ridge_retrieval": ("decoder.n_alphas=3",),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "network_ablation"])
def test_every_experiment_runs_at_smoke_size(name: str, tmp_path: Path) -> None:
    if composed(name).dataset.name == "nsd":
        write_copy(tmp_path / "data")
        shutil.rmtree(tmp_path / "data" / "nsddata_stimuli" / "stimuli" / "nsd" / "annotations")
        nsd = ("subjects=[subj01]", "space=fsaverage", "rois=[prf-visualrois,streams]")
        own = [f"dataset.{word}" for word in nsd]
    else:
        generate(tmp_path / "data", images=40, targets=6, repeats=2)
        own = []
    words = [f"dataset.root={tmp_path / 'data'}", f"paths.root={tmp_path / 'root'}", *own]
    words += [*SMALL, *OWN[name]]
    ran = neuroattn("reproduce", name, *words)
    assert ran.code == 0, ran.err
    result = json.loads(ran.path.read_text())
    assert [row["figure"] for row in result["figures"]] == [
        row.figure for row in composed(name).published.expected
    ]
