from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch

from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.generators.contract import Condition, Identity, Level
from neuroattn.synthesis import samples


class Plain:
    """A generator whose pictures are as bright as their seed."""

    identity = Identity("embedded", "embedded", "generator")
    prediction, shape, device, dim = "sample", (3, 8, 8), torch.device("cpu"), None

    def latents(self, seeds):
        return torch.tensor([s / 10 for s in seeds]).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)

    def condition(self, count, *, text=None, embeddings=None):
        self.asked = list(text)
        return Condition(count, {})

    def schedule(self, steps, sampler=None, *, seeds=None):
        level = Level(0, torch.tensor(1), 1.0, 1.0)
        return SimpleNamespace(
            levels=[level], start=lambda noise: noise, step=lambda said, level, latents: said
        )

    def predict(self, latents, level, condition, guidance=1.0):
        return latents

    def decode(self, latents, *, guidance_path=False):
        return latents

    x0 = steered = noised = epsilon = encode = decode  # of the contract, and not asked for here


def _models(name: str, device: str):
    presence = torch.zeros(len(samples.ASKED), len(CATEGORIES))
    presence[:, CATEGORIES.index("face")] = 0.9
    return {
        "space": SimpleNamespace(encode_image=lambda pixels: pixels.mean((2, 3))),
        "captioner": SimpleNamespace(
            caption=lambda rows: [f"brightness {row[0]:.1f}" for row in rows]
        ),
        "referee": SimpleNamespace(judge=lambda pixels: {"presence": presence}),
    }[name]


def test_samples_are_drawn_captioned_and_judged(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(samples, "find", lambda name: tmp_path)
    monkeypatch.setattr(samples, "load", _models)
    generator, tables, files = Plain(), {}, {}
    out = SimpleNamespace(table=tables.__setitem__, file=lambda name: _Open(tmp_path, name, files))
    assert samples.write_samples(SimpleNamespace(out=out), generator, "cpu")
    assert tuple(generator.asked) == samples.ASKED
    table = tables[samples.TABLE]
    assert table["captioned"].tolist()[:3] == [f"brightness {n / 10:.1f}" for n in range(3)]
    assert set(table["found"]) == {"face"}
    assert sorted(files) == table["file"].tolist()


def test_of_another_generator_there_is_no_page(tmp_path: Path, monkeypatch) -> None:
    other = Plain()
    other.identity = replace(other.identity, source="/models/mine")
    assert not samples.write_samples(SimpleNamespace(), other, "cpu")
    monkeypatch.setattr(samples, "find", lambda name: tmp_path / name)  # not built
    assert not samples.write_samples(SimpleNamespace(), Plain(), "cpu")


class _Open:
    """``ArtefactWriter.file``."""

    def __init__(self, folder: Path, name: str, files: dict) -> None:
        self.target = folder / name.replace("/", "-")
        files[name] = self.target

    def __enter__(self) -> Path:
        return self.target

    def __exit__(self, *_) -> None:
        assert self.target.is_file()
