"""Descriptions of top pictures by an image-text-to-text model, and the best of them.

The route for encoders without a text side: attention readouts, self-supervised networks. Any
model that ``AutoModelForImageTextToText`` and ``AutoProcessor`` of transformers open will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuroattn.captioning.captioners import Setting, Told
from neuroattn.captioning.concepts import Concept
from neuroattn.captioning.nearest import consensus, likeness
from neuroattn.captioning.registry import VlmConfig, check_named
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.resources import user_path


class Vlm:
    """A consensus of descriptions; each picture is described once."""

    def __init__(self, config: VlmConfig, setting: Setting) -> None:
        self.config, self.setting = config, setting
        check_named(config)
        self.model, self.processor = read_model(config.model, setting.device)
        self._said: dict[int, str] = {}

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
        todo = [place for place in places if place not in self._said]
        for start in range(0, len(todo), self.config.batch):
            part = todo[start : start + self.config.batch]
            self._said |= dict(zip(part, self._answers(part), strict=True))

    @torch.no_grad()
    def _answers(self, places: list[int]) -> list[str]:
        read = self.setting.picture
        if read is None:
            raise ConfigError(
                "captioner=vlm needs the pictures of the bank",
                expected="a bank whose pictures can be read",
                found="embeddings alone",
                fix="set captioner=nearest, or give the pictures",
            )
        # One by one, so that no padding reaches a picture: words do not depend on the neighbours.
        return [self._answer(read(place)) for place in places]

    def _answer(self, picture: Any) -> str:
        token = getattr(self.processor, "image_token", None)
        prompt = f"{token or ''}{self.config.prompt}"
        if getattr(self.processor, "chat_template", None):
            content = [{"type": "image"}, {"type": "text", "text": self.config.prompt}]
            prompt = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True
            )
        given = self.processor(images=picture, text=prompt, return_tensors="pt")
        given = given.to(self.setting.device)
        out = self.model.generate(**given, max_new_tokens=self.config.length, do_sample=False)
        known = given["input_ids"].shape[1]
        fresh = out[0][known:] if out.shape[1] > known else out[0]
        return str(self.processor.decode(fresh, skip_special_tokens=True)).strip()


def read_model(name: str, device: str) -> tuple[Any, Any]:
    """Model and processor of a folder; nothing is fetched.

    Raises
    ------
    DataError : the folder holds no such model.
    """
    import transformers

    folder = user_path(name)
    try:
        model: Any = transformers.AutoModelForImageTextToText.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        )
        kind: Any = transformers.AutoProcessor
        processor: Any = kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise DataError(
            "this folder holds no whole image-text-to-text model",
            file=folder,
            expected="config.json, safetensors, and the processor's files",
            found=str(error).splitlines()[0],
            fix="save model and processor with save_pretrained",
        ) from error
    return model.to(device).eval().requires_grad_(False), processor
