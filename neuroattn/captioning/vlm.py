"""Descriptions of top pictures by an image-text-to-text model, and the best of them.

The route for encoders without a text side: attention readouts, self-supervised networks. Any
model that ``AutoModelForImageTextToText`` and ``AutoProcessor`` of transformers open will do.
Descriptions are kept in the stage's work folder, so a run that was stopped goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.captioning.captioners import Setting, Told
from neuroattn.captioning.concepts import Concept
from neuroattn.captioning.nearest import consensus, likeness
from neuroattn.captioning.registry import VlmConfig, check_named
from neuroattn.core.atomic import ensure_folder, read_json, write_json
from neuroattn.core.errors import ConfigError
from neuroattn.core.resources import user_path
from neuroattn.features.pretrained import read_network, read_part

Picture = NDArray[np.uint8]


class Vlm:
    """A consensus of descriptions; each picture is described once."""

    def __init__(self, config: VlmConfig, setting: Setting) -> None:
        self.config, self.setting = config, setting
        check_named(config)
        self.model, self.processor = read_model(config.model, setting.device)
        self._said: dict[int, str] = {}
        self._kept = Kept(setting.keep)

    def caption(self, concepts: Sequence[Concept]) -> list[Told]:
        """One of the descriptions of each concept's top pictures."""
        chosen = [one.places[: self.config.pictures] for one in concepts]
        self._describe(sorted({int(place) for places in chosen for place in places}))
        return [self._one([int(place) for place in places]) for places in chosen]

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            f"the {self.config.pictures} top pictures were described by"
            f" {Path(self.config.model).name} and the description that agrees most was taken"
        )

    def _one(self, places: list[int]) -> Told:
        texts = [self._said[place] for place in places]
        return consensus(texts, likeness(texts, self.setting.text), np.array(places))

    def _describe(self, places: list[int]) -> None:
        waiting: dict[int, Picture] = {}
        for place in places:
            if place in self._said:
                continue
            picture = self._picture(place)
            known = self._kept.texts.get(digest_of(picture))
            if known is not None:
                self._said[place] = known
                continue
            waiting[place] = picture
            if len(waiting) == self.config.batch:
                self._answer(waiting)
                waiting = {}
        if waiting:
            self._answer(waiting)

    def _picture(self, place: int) -> Picture:
        if self.setting.picture is None:
            raise ConfigError(
                "captioner=vlm needs the pictures of the bank",
                expected="a bank whose pictures can be read",
                found="embeddings alone",
                fix="set captioner=nearest, or give the pictures",
            )
        return self.setting.picture(place)

    def _answer(self, pictures: Mapping[int, Picture]) -> None:
        texts = self._texts(list(pictures.values()))
        self._said |= dict(zip(pictures, texts, strict=True))
        self._kept.add({digest_of(one): self._said[place] for place, one in pictures.items()})

    @torch.no_grad()
    def _texts(self, pictures: list[Picture]) -> list[str]:
        """Descriptions of pictures in one call; padding is masked, so neighbours change nothing."""
        given = self.processor(
            images=[[one] for one in pictures] if self._chats else pictures,
            text=[self._prompt()] * len(pictures),
            padding=True,
            return_tensors="pt",
        ).to(self.setting.device)
        out = self.model.generate(**given, max_new_tokens=self.config.length, do_sample=False)
        fresh = [
            row[echoed(row, asked) :] for row, asked in zip(out, given["input_ids"], strict=True)
        ]
        return [str(self.processor.decode(row, skip_special_tokens=True)).strip() for row in fresh]

    @property
    def _chats(self) -> bool:
        """Processors of chats take a list of pictures for each text, older ones a flat list."""
        return bool(getattr(self.processor, "chat_template", None))

    def _prompt(self) -> str:
        if not self._chats:
            return f"{getattr(self.processor, 'image_token', None) or ''}{self.config.prompt}"
        content = [{"type": "image"}, {"type": "text", "text": self.config.prompt}]
        asked = [{"role": "user", "content": content}]
        return str(self.processor.apply_chat_template(asked, add_generation_prompt=True))


class Kept:
    """Descriptions by the digest of their picture; a run that was stopped finds them again.

    Parameters
    ----------
    folder : one file for each call of the model; None keeps them in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.texts = folder, dict[str, str]()
        for file in sorted(folder.glob("*.json")) if folder is not None else ():
            self.texts |= read_json(file)

    def add(self, texts: Mapping[str, str]) -> None:
        """Keep these too."""
        self.texts |= texts
        if self.folder is not None:
            write_json(ensure_folder(self.folder) / f"{min(texts)}.json", dict(texts))


def digest_of(picture: Picture) -> str:
    """Of the pixels and their shape."""
    pixels = np.ascontiguousarray(picture)
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def echoed(answer: Tensor, asked: Tensor) -> int:
    """How many tokens at the start of an answer repeat what was asked.

    All of it with most decoders, all but the last token with BLIP, none where a decoder of its own
    answers.
    """
    length = min(len(answer), len(asked))
    return int((answer[:length] == asked[:length]).cumprod(0).sum())


def read_model(name: str, device: str) -> tuple[Any, Any]:
    """Model and processor of a folder; nothing is fetched.

    Raises
    ------
    DataError : the folder holds no such model, or not the whole of it.
    """
    import transformers

    folder = user_path(name)
    model = read_network(transformers.AutoModelForImageTextToText, folder)
    processor = read_part(transformers.AutoProcessor, folder)
    _pad_before(processor, model)
    return model.to(device).eval().requires_grad_(False), processor


def _pad_before(processor: Any, model: Any) -> None:
    """Pad a decoder's prompts on the left: it goes on from the last token, which must be a word."""
    tokeniser = getattr(processor, "tokenizer", None)
    if tokeniser is None:
        return
    if not getattr(model.config, "is_encoder_decoder", False):
        tokeniser.padding_side = "left"
    if tokeniser.pad_token is None:
        tokeniser.pad_token = tokeniser.eos_token
