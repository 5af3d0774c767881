"""Captions as features of an image-text space: by the picture's name, of unit length."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.features.registry import BACKBONES
from neuroattn.features.source_schemas import SpaceCaptionsConfig
from neuroattn.generators import caption_source
from neuroattn.generators.caption_source import SpaceCaptions, leaves, read_texts

NAMES = ["stimuli/b.png", "stimuli/a.png", "c.png"]  # of images 7, 8, 9


def prepared(captions: dict[str, list[str]] | None = None) -> Any:
    table = pd.DataFrame({"image": [7, 8, 9], "file": NAMES})
    artefact = SimpleNamespace(folder=Path("prepare"))
    return SimpleNamespace(images=table, captions=captions or {}, artefact=artefact)


class Letters:
    """A space that counts letters: 26 numbers, of unit length."""

    dim = 26

    def encode_text(self, captions: list[str]) -> torch.Tensor:
        counts = torch.tensor(
            [[float(text.count(chr(97 + k))) for k in range(26)] for text in captions]
        )
        return torch.nn.functional.normalize(counts, dim=-1)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption_source, "load", lambda _model: Letters())


def told(folder: Path, **captions: list[str]) -> str:
    file = folder / "captions.json"
    file.write_text(json.dumps(captions))
    return str(file)


@pytest.mark.usefixtures("letters")
def test_captions_belong_to_their_pictures_whatever_the_order(tmp_path: Path) -> None:
    file = told(tmp_path, **{"a.png": ["aa"], "stimuli/b.png": ["bb", "bc"], "c.png": ["c"]})
    source = SpaceCaptions(SpaceCaptionsConfig(captions=file), prepared({"9": ["zz"]}))
    found = source.read([8, 7, 9])["pooled"]
    assert found.shape == (3, 1, 26)
    np.testing.assert_allclose(np.linalg.norm(found[:, 0], axis=1), 1, rtol=1e-6)
    assert found[0, 0].argmax() == 0
    halves = np.array([1 + 0.5**0.5, 0.5**0.5])  # the mean of "bb" and "bc", two of unit length
    np.testing.assert_allclose(found[1, 0, 1:3], halves / np.linalg.norm(halves), rtol=1e-6)
    assert found[2, 0].argmax() == 2, "the file's captions come before the dataset's"
    assert source.shapes["pooled"].dim == 26


@pytest.mark.usefixtures("letters")
def test_captions_of_the_dataset_serve_where_the_file_has_none(tmp_path: Path) -> None:
    file = told(tmp_path, **{"a.png": ["aa"]})
    known = {"7": ["b"], "9": ["c"]}
    found = SpaceCaptions(SpaceCaptionsConfig(captions=file), prepared(known)).read([7, 8, 9])
    assert found["pooled"][:, 0].argmax(axis=1).tolist() == [1, 0, 2]
    with pytest.raises(DataError, match="without captions") as caught:
        SpaceCaptions(SpaceCaptionsConfig(captions=file), prepared({"7": ["b"]}))
    assert "9" in str(caught.value)


def test_what_is_no_file_of_captions_is_refused(tmp_path: Path) -> None:
    for text in ("[]", '{"a.png": "aa"}', '{"a.png": []}', '{"a.png": [1]}', "no json"):
        file = tmp_path / "captions.json"
        file.write_text(text)
        with pytest.raises(DataError, match="cannot be read"):
            read_texts(file)


def test_a_model_without_texts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption_source, "load", lambda _model: SimpleNamespace(dim=3))
    known = {"7": ["b"], "8": ["a"], "9": ["c"]}
    with pytest.raises(ConfigError, match="image-text space"):
        SpaceCaptions(SpaceCaptionsConfig(), prepared(known))


def test_files_of_the_space_and_of_the_captions_are_fingerprinted(tmp_path: Path) -> None:
    file = told(tmp_path, **{"a.png": ["aa"]})
    found = leaves(SpaceCaptionsConfig(captions=file))
    assert found["captions.json"] == Path(file)
    assert any(name.endswith("model.safetensors") for name in found)
    assert "captions.json" not in leaves(SpaceCaptionsConfig())
    assert BACKBONES.leaves(SpaceCaptionsConfig()) == leaves(SpaceCaptionsConfig())
    with pytest.raises(MissingDataError):
        leaves(SpaceCaptionsConfig(model=str(tmp_path / "none")))
