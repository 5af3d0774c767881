"""Decoders on planted brains: each retrieves, resumes to the same bits, and sees no test row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import ArtefactError, ConfigError, LeakError, MissingDataError
from neuroattn.decoding.blur_prior import FixedPrior, ReliabilityPrior
from neuroattn.decoding.decoder import DecodingSet, SubjectRows, write_decoder
from neuroattn.decoding.decoder_schemas import (
    DecoderConfig,
    InputConfig,
    LossConfig,
    LossKind,
    Negatives,
    RidgeDecoderConfig,
    Source,
    TrainedDecoderConfig,
    training,
)
from neuroattn.decoding.eeg_schemas import EegProjectConfig, TsconvConfig
from neuroattn.decoding.load import PARCELS, read_model
from neuroattn.decoding.network_schemas import (
    ParcelTransformerConfig,
    PretrainingConfig,
    RidgeMlpConfig,
    SequenceGptConfig,
)
from neuroattn.decoding.parcel_transformer import ParcelTransformerDecoder
from neuroattn.decoding.prior_schemas import ReliabilityPriorConfig, UniformPriorConfig
from neuroattn.decoding.registry import DECODERS, atlas_leaves, foundation_leaves
from neuroattn.decoding.ridge import RidgeDecoder, targets_of
from neuroattn.decoding.ridge_mlp import RidgeMlpDecoder
from neuroattn.decoding.sequence_gpt import SequenceGptDecoder, gpt, load_foundation
from neuroattn.decoding.trained import bank_of
from neuroattn.training.registry import TrainingConfig
from neuroattn.training.selection import TrainingData
from tests.unit.decoding.side import DIM, INPUTS, Store, planted, space_of, top1
from tests.unit.encoding.conftest import finish

CHANCE = 1 / 30


def short(epochs: int = 6, lr: float = 5e-3, every: int = 500) -> TrainingConfig:
    return replace(training(lr, epochs, 16), checkpoint_every=every)


def mlp(**keys: Any) -> RidgeMlpConfig:
    given = {"hidden": 32, "blocks": 1, "dropout": 0.1, "training": short()} | keys
    return RidgeMlpConfig(**given)


SMALL: dict[str, DecoderConfig] = {
    "ridge": RidgeDecoderConfig(n_alphas=5),
    "ridge_mlp": mlp(),
    "parcel_transformer": ParcelTransformerConfig(
        dim=16, depth=1, heads=2, dropout=0.0, training=short(10)
    ),
    "sequence_gpt": SequenceGptConfig(
        dim=16, depth=1, heads=2, dropout=0.0, zeroed=0.0, training=short(10)
    ),
}
EPOCHS: dict[str, DecoderConfig] = {
    "eeg_project": EegProjectConfig(),
    "tsconv": TsconvConfig(filters=4, kernel=2, pool=2, stride=1),
}


CHANNELS = np.repeat(np.array(["a", "b", "c"], dtype=object), INPUTS // 3)


def in_channels(train: DecodingSet) -> list[SubjectRows]:
    """Its subjects, their inputs laid out channel by channel."""
    return [replace(rows, parcels=CHANNELS) for rows in train.subjects]


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("head", [False, True])
def test_each_decoder_is_loaded_as_it_was_fitted(name: str, head: bool, tmp_path: Path) -> None:
    side = planted(tmp_path / "work", subjects=2)
    subjects = in_channels(side.train)
    config = (SMALL | EPOCHS)[name]
    if isinstance(config, TrainedDecoderConfig):
        config = replace(config, head=head, training=short(1))
    model = DECODERS.load(name)(config).fit(replace(side.train, subjects=subjects))
    out = ArtefactWriter(tmp_path / "decode")
    write_decoder(out, model)
    for rows in subjects:
        out.json(PARCELS.format(f"-{rows.subject}"), CHANNELS.tolist())
    sides: Any = [
        SimpleNamespace(unit=SimpleNamespace(name=rows.subject), input=rows.input)
        for rows in subjects
    ]
    loaded = read_model(finish(out, "decode"), config, side.space, sides)
    for number, inputs in enumerate(side.inputs):
        wanted = model.embed(number, inputs)
        np.testing.assert_array_equal(loaded.embed(number, inputs), wanted)


@pytest.mark.parametrize("name", [name for name in DECODERS if name != "ridge"])
def test_a_batch_may_have_no_row_of_a_subject(name: str, tmp_path: Path) -> None:
    side = planted(tmp_path, subjects=2)
    train = replace(side.train, subjects=in_channels(side.train))
    network = DECODERS.load(name)((SMALL | EPOCHS)[name]).network(train)
    rows = torch.from_numpy(side.inputs[1])
    for mode in (True, False):
        out = network.train(mode)({"input-0": rows[:0], "input-1": rows})
        assert out["predicted"].shape == (len(rows), DIM)


@pytest.mark.parametrize("name", SMALL)
def test_each_decoder_finds_planted_images(name: str, tmp_path: Path) -> None:
    side = planted(tmp_path)
    model = DECODERS.load(name)(SMALL[name]).fit(side.train)
    assert top1(side, model) > 10 * CHANCE


def test_several_subjects_share_one_network(tmp_path: Path) -> None:
    side = planted(tmp_path, subjects=2)
    model = RidgeMlpDecoder(mlp()).fit(side.train)
    assert min(top1(side, model, subject) for subject in (0, 1)) > 10 * CHANCE


def test_series_are_read_tr_by_tr(tmp_path: Path) -> None:
    side = planted(tmp_path, trs=3)
    config = replace(
        SMALL["sequence_gpt"], input=InputConfig(source=Source.series, trs=3), permute=True
    )
    assert top1(side, SequenceGptDecoder(config).fit(side.train)) > 5 * CHANCE


LOSSES = [
    (LossKind.infonce, Negatives.bank),
    (LossKind.softclip, Negatives.batch),
    (LossKind.bimixco, Negatives.bank),
    (LossKind.siglip, Negatives.batch),
]


@pytest.mark.parametrize(("kind", "negatives"), LOSSES)
def test_every_loss_learns(kind: LossKind, negatives: Negatives, tmp_path: Path) -> None:
    side = planted(tmp_path, repeats=2, shares=(0.75, 0.25))
    loss = LossConfig(kind=kind, negatives=negatives, cosine=0.5, l2=1.0)
    model = RidgeMlpDecoder(mlp(loss=loss, head=True, rank=8, training=short(5))).fit(side.train)
    assert top1(side, model) > 5 * CHANCE


def test_a_closed_form_decoder_equals_its_folded_self(tmp_path: Path) -> None:
    side = planted(tmp_path)
    model = RidgeDecoder(RidgeDecoderConfig(n_alphas=5)).fit(side.train)
    split = model.split(0)
    direct = side.inputs[0] @ split.weight.T + split.bias
    np.testing.assert_allclose(direct, model.embed(0, side.inputs[0]), rtol=1e-4, atol=1e-5)


class Blurred(Store):
    """A second level, which has half of every other number."""

    blur = {"kind": "uniform"}  # noqa: RUF012
    levels = {0.0: "", 8.0: "uniform"}  # noqa: RUF012

    def read(self, layer: str, images: Any = None, strength: float = 0.0) -> Any:
        return super().read(layer, images) * np.where(np.arange(DIM) % 2, 1 - strength / 16, 1.0)


def blurred(work: Path, make_prior: Any, **keys: Any) -> Any:
    """A planted side whose store has two levels, and what ridge makes of it with a prior."""
    side = planted(work, **keys)
    space = space_of(Blurred(120))
    train = replace(side.train, space=space, make_prior=make_prior, blurs=True)
    return side, space, train, RidgeDecoder(RidgeDecoderConfig(n_alphas=5)).fit(train)


def test_a_closed_form_predicts_pictures_at_the_blur_of_a_prior(tmp_path: Path) -> None:
    def make(bank: Any) -> FixedPrior:
        return FixedPrior(UniformPriorConfig(strength=8.0), bank)

    side, space, train, model = blurred(tmp_path, make, subjects=2)
    at_8 = space.read(side.test, strength=8.0)
    np.testing.assert_array_equal(model.gallery(side.test), at_8)
    for subject in range(2):
        rows = train.subjects[subject]
        stored = replace(train, space=FixedSpace(space), subjects=[rows], blurs=False)
        alone = RidgeDecoder(RidgeDecoderConfig(n_alphas=5)).fit(stored)  # type: ignore[arg-type]
        wanted = alone.embed(0, side.inputs[subject])
        np.testing.assert_allclose(
            model.embed(subject, side.inputs[subject]), wanted, rtol=1e-4, atol=1e-5
        )


def test_negatives_are_as_blurred_as_the_pictures_of_brains(tmp_path: Path) -> None:
    def make(bank: Any) -> FixedPrior:
        return FixedPrior(UniformPriorConfig(strength=8.0), bank)

    _, space, train, _ = blurred(tmp_path, make)
    decoder = RidgeMlpDecoder(mlp(loss=LossConfig(negatives=Negatives.bank)))
    source, _ = decoder._sources(train)
    data = TrainingData(source, np.unique(source.images), test_images=train.forbidden)
    bank = decoder._task(decoder.network(train, make(bank_of(space, source))), data, train).bank
    assert bank is not None
    wanted = space.read(bank.images.numpy(), strength=8.0)
    np.testing.assert_array_equal(bank.table.numpy(), wanted)


class FixedSpace:
    """A space whose every picture is at strength 8."""

    def __init__(self, space: Any) -> None:
        self.space, self.dim, self.stores = space, space.dim, space.stores

    def read(self, images: Any) -> Any:
        return self.space.read(images, strength=8.0)


def test_a_closed_form_takes_blur_by_how_repeats_agree(tmp_path: Path) -> None:
    """Two people, one with reliable repeats: bounds are each one's own, and rows find theirs."""
    made: list[ReliabilityPrior] = []

    def make(bank: Any) -> ReliabilityPrior:
        made.append(ReliabilityPrior(ReliabilityPriorConfig(strengths=[0, 4, 8], alpha=0.4), bank))
        return made[0]

    _, space, train, model = blurred(tmp_path, make, subjects=2, repeats=3, noise=2.0)
    (prior,) = made
    assert model.prior is prior
    assert set(prior.blur.tolist()) == {0.0, 4.0, 8.0}
    assert prior.subjects.tolist() == [0] * 90 + [1] * 90
    images, first = train.subjects[1].images, len(train.subjects[0].images)
    at = prior.blur[prior.row[first:]].numpy()
    wanted, place = targets_of(images, space, prior, first)
    for strength in (0.0, 8.0):
        rows = np.flatnonzero(at == strength)
        assert len(rows)
        np.testing.assert_array_equal(wanted[place[rows]], space.read(images[rows], strength))


def test_behind_its_first_layer_a_network_is_the_same(tmp_path: Path) -> None:
    side = planted(tmp_path)
    model = RidgeMlpDecoder(mlp(training=short(1))).fit(side.train)
    split = model.split(0)
    hidden = torch.from_numpy(side.inputs[0] @ split.weight.T + split.bias)
    with torch.no_grad():
        cut = split.rest(hidden).numpy()
    np.testing.assert_allclose(cut, model.embed(0, side.inputs[0]), rtol=1e-4, atol=1e-5)


class _Killed(Exception):
    pass


class _Dies:
    """A tracker that ends the process's work at its third row."""

    def __init__(self) -> None:
        self.rows = 0

    def log(self, metrics: dict[str, float], *, step: int) -> None:
        self.rows += 1
        if self.rows == 3:
            raise _Killed


@pytest.mark.parametrize("name", ["ridge_mlp", "parcel_transformer"])
def test_a_killed_run_ends_at_the_same_bits(name: str, tmp_path: Path) -> None:
    config = replace(SMALL[name], training=short(3, every=3), loss=LossConfig(mixco_until=0.5))  # type: ignore[call-arg]
    if isinstance(config, ParcelTransformerConfig):
        config = replace(config, dropout=0.2, pretraining=PretrainingConfig(epochs=2))
    decoder = DECODERS.load(name)(config)
    whole = decoder.fit(planted(tmp_path / "whole").train).state()[0]
    side = planted(tmp_path / "killed").train
    with pytest.raises(_Killed):
        decoder.fit(replace(side, tracker=_Dies()))
    again = decoder.fit(side).state()[0]
    for key, value in whole.items():
        np.testing.assert_array_equal(again[key], value, err_msg=key)


def test_choosing_by_test_images_is_refused(tmp_path: Path) -> None:
    side = planted(tmp_path)
    chosen = np.concatenate([side.train.selection[1], side.train.forbidden[:1]])
    with pytest.raises(LeakError):
        RidgeMlpDecoder(mlp()).fit(replace(side.train, selection=("held_out", chosen)))
    with pytest.raises(LeakError):
        RidgeMlpDecoder(mlp()).fit(replace(side.train, selection=("test", chosen[:-1])))


def test_pretraining_needs_no_image(tmp_path: Path) -> None:
    side = planted(tmp_path)
    rows = side.train.subjects[0]
    more = replace(rows, unpaired=side.inputs[0])
    config = replace(
        SMALL["parcel_transformer"], pretraining=PretrainingConfig(epochs=1, batch_size=16),
        training=short(1),
    )  # fmt: skip
    before = ParcelTransformerDecoder(replace(config, pretraining=PretrainingConfig()))
    plain = before.fit(planted(tmp_path / "plain").train).state()[0]
    found = ParcelTransformerDecoder(config).fit(replace(side.train, subjects=[more])).state()[0]
    assert not np.array_equal(
        found["encoder.subjects.0.weight"], plain["encoder.subjects.0.weight"]
    )
    assert np.any(found["encoder.subjects.0.back"] != 0)


def _foundation(folder: Path, config: SequenceGptConfig) -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    sizes = {"n_embd": config.dim, "n_layer": config.depth, "n_head": config.heads}
    (folder / "config.json").write_text(json.dumps(sizes))
    torch.manual_seed(7)
    state = gpt(config).state_dict()
    save_file({f"transformer.{n}": v for n, v in state.items()}, folder / "model.safetensors")
    return folder


def test_a_foundation_encoder_starts_from_its_folder(tmp_path: Path) -> None:
    config = SMALL["sequence_gpt"]
    assert isinstance(config, SequenceGptConfig)
    folder = _foundation(tmp_path / "f", config)
    torch.manual_seed(1)
    model = gpt(config)
    load_foundation(model, folder, config)
    torch.manual_seed(7)
    for name, value in gpt(config).state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)
    with pytest.raises(ConfigError, match="another size"):
        load_foundation(model, folder, replace(config, depth=2))
    (folder / "model.safetensors").unlink()
    from safetensors.torch import save_file

    save_file({"other": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ArtefactError, match="lacks weights"):
        load_foundation(model, folder, config)


def test_gradient_decoders_have_gradient_configs() -> None:
    for name, entry in DECODERS.items():
        assert issubclass(entry.schema, DecoderConfig)
        assert issubclass(entry.schema, TrainedDecoderConfig) is (name != "ridge")


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    config = SequenceGptConfig(foundation=str(tmp_path))
    with pytest.raises(MissingDataError, match="pre-trained encoder is not there") as caught:
        foundation_leaves(config)
    assert "model.safetensors" in str(caught.value.found)
    config = RidgeMlpConfig(input=InputConfig(atlas=str(tmp_path / "yeo.npy")))
    with pytest.raises(MissingDataError, match="the atlas is not there"):
        atlas_leaves(config)
