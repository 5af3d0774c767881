"""What the embedded generator draws of sentences, and how that is put into words again.

A page of samples says more of a model than its scores. Payload: ``samples/`` and ``samples.tsv``
(file, asked, captioned, found, seed). Only the embedded generator has the space, the captioner
and the referee that this needs; of any other there is no page.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import torch

from neuroattn.core.stage import StageContext
from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.generators import load
from neuroattn.generators.contract import Generator
from neuroattn.generators.loading import find
from neuroattn.generators.prompted import prompted
from neuroattn.generators.registry import GUIDANCE
from neuroattn.synthesis.jobs import eight_bits, png

TABLE, FOLDER = "samples.tsv", "samples"
COLUMNS: Final = ("file", "asked", "captioned", "found", "seed")
ASKED: Final = (
    "A face in a room.", "A word in a field.", "A cat on a beach.", "A pizza in a city.",
    "A bus in a forest.", "A dancer on a mountain.",
)  # fmt: skip
_STEPS, _THERE = 25, 0.5
_EMBEDDED: Final = "generator"  # as `generators.load` calls it; another one has no space beside it
_NEEDED = ("space", "captioner", "referee")


def write_samples(context: StageContext, generator: Generator, device: str) -> bool:
    """Draw, caption and judge; False where a model that this needs is not there."""
    embedded = generator.identity.source == _EMBEDDED
    if not embedded or not all(find(name).is_dir() for name in _NEEDED):
        return False
    pixels = drawn(generator)
    space, captioner, referee = (load(name, device) for name in _NEEDED)
    said = captioner.caption(space.encode_image(pixels))
    presence = referee.judge(pixels)["presence"].cpu()
    rows: list[tuple[Any, ...]] = []
    for number, picture in enumerate(eight_bits(pixels)):
        name = f"{FOLDER}/{number:02d}.png"
        with context.out.file(name) as target:
            target.write_bytes(png(picture))
        found = [CATEGORIES[n] for n, p in enumerate(presence[number].tolist()) if p > _THERE]
        rows.append((name, ASKED[number], str(said[number]), ", ".join(found), number))
    context.out.table(TABLE, pd.DataFrame(rows, columns=list(COLUMNS)))
    return True


def drawn(generator: Generator) -> torch.Tensor:
    """A picture of each sentence, unguided by any encoder."""
    seeds = range(len(ASKED))
    return prompted(generator, ASKED, seeds, steps=_STEPS, guidance=GUIDANCE, sampler="dpm")
