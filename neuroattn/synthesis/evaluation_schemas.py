"""Keys of the evaluation of what was drawn; part of the section ``synthesis``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroattn.core.config import Section, at_least, science
from neuroattn.core.phrases import PICTURE_OF


@dataclass(kw_only=True)
class EvaluationConfig(Section):
    """What else looks at the pictures, and what they are held against."""

    run: bool = science(True, "Evaluate at all; jobs that draw a share of the pictures never do.")
    referee: str = science(
        "referee",
        "Detector of things and places: an embedded model or its folder. It knows simulated scenes"
        " and looks at pictures for no other data; empty leaves it out.",
    )
    space: str = science(
        "space",
        "Image-text space for the zero-shot match: the embedded one (simulated scenes alone) or"
        " the folder of a CLIP; empty leaves it out.",
    )
    prompt: str = science(PICTURE_OF, "What the space is asked, with a category's words.")
    reference: int = at_least(200, "Training pictures that sets are held against; 0 none.", 0)
    real: int = at_least(6, "Real test pictures shown for each objective, the highest first.", 0)
    samples: bool = science(
        True, "Draw the page of samples from sentences (the embedded generator alone)."
    )
    directions: int = at_least(16, "Leading directions of features in the Fréchet distance.", 1)
    draws: int = at_least(1000, "Bootstrap samples of the intervals.", 100)


def evaluation_leaves(config: EvaluationConfig) -> Mapping[str, Path]:
    """Files of the models that look, by stable name; an embedded one may not be built yet."""
    from neuroattn.generators.loading import files_of, find

    found: dict[str, Path] = {}
    for part, model in (("referee", config.referee), ("space", config.space)):
        if model and (model != part or find(model).is_dir()):
            found |= {f"{part}/{name}": path for name, path in files_of(model).items()}
    return found
