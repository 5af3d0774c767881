"""The stage ``showcase``: what the embedded models can do, on scenes that no model learned from.

Scores are means; a page of samples says more. Held-out scenes, what the captioner says of them,
what the referee finds, pictures that the generator draws of their captions, and the training scene
that is nearest to each. Whatever model is not there is named, with the command that builds it, and
the page shows what the others can do.

Payload: ``models.tsv``, ``scores.tsv`` (those of the cards), ``samples.tsv`` and ``pictures/``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from neuroattn.core.resources import user_path
from neuroattn.core.sections import RuntimeConfig
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.features.backbones import choose_device, exact_kernels
from neuroattn.generators.autoencoder import remade
from neuroattn.generators.cards import CARD, EMBEDDED, how_to_build, identity, read_card
from neuroattn.generators.loading import files_of, load
from neuroattn.generators.registry import MODELS, NearScenesConfig, ShowcaseConfig
from neuroattn.generators.scenes import SceneSet, Side, drawn_layout, scene_set, to_unit

MODELS_TABLE, SCORES, SAMPLES, FOLDER = "models.tsv", "scores.tsv", "samples.tsv", "pictures"
THERE, ABSENT = "there", "absent"
COLUMNS: Final = (
    "number", "asked", "things", "real", "real_caption", "real_found", "remade", "remade_found",
    "sample", "sample_caption", "sample_found", "nearest", "sample_distance", "real_distance",
)  # fmt: skip
MODEL_COLUMNS: Final = (
    "model", "state", "about", "limits", "steps", "megabytes", "digest", "fix",
)  # fmt: skip
_PRESENT = 0.5
_BLOCK = 2000
Pixels = Float[Tensor, "images 3 side side"]
Row = dict[str, Any]


def root_of(config: ShowcaseConfig) -> Path:
    """Where the models stand by name."""
    return EMBEDDED if config.folder is None else user_path(config.folder)


def places(config: ShowcaseConfig) -> dict[str, Path]:
    """Model -> its folder, of those that are there."""
    root = root_of(config)
    return {name: root / name for name in MODELS if (root / name / CARD).is_file()}


def leaves(config: Any) -> Mapping[str, Path]:
    """Files of the models that are there, and their cards, which are shown, by stable name."""
    return {
        f"{model}/{name}": path
        for model, folder in places(config.showcase).items()
        for name, path in {**files_of(folder), CARD: folder / CARD}.items()
    }


def run(context: StageContext) -> StageResult:
    """Show what is there.

    Raises
    ------
    ArtefactError : a file of a model has other bytes than its card says.
    """
    config = context.section("showcase", ShowcaseConfig)
    cards = {name: read_card(folder) for name, folder in places(config).items()}
    context.out.table(MODELS_TABLE, model_table(cards, root_of(config)))
    context.out.table(SCORES, score_table(cards))
    show = Show(context, config, cards)
    with exact_kernels():
        table = show.table()
    context.out.table(SAMPLES, table)
    absent = [name for name in MODELS if name not in cards]
    return StageResult({"models": float(len(cards)), **_metrics(table)}, _methods(config, absent))


def model_table(cards: Mapping[str, Mapping[str, Any]], root: Path) -> pd.DataFrame:
    """A row for each model that could be in ``root`` (`MODEL_COLUMNS`)."""
    rows = []
    for name in MODELS:
        card = cards.get(name)
        if card is None:
            rows.append((name, ABSENT, "", "", None, None, "", how_to_build(root / name)))
            continue
        size = sum(entry["bytes"] for entry in card["files"].values()) / 1e6
        told = card["about"], card["limits"], card["steps"]
        rows.append((name, THERE, *told, size, identity(card)[:12], ""))
    frame = pd.DataFrame(rows, columns=list(MODEL_COLUMNS))
    return frame.astype({"steps": "Int64", "megabytes": float})


def score_table(cards: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Scores as the cards have them, over many more scenes than are shown."""
    rows = [
        (name, score, float(value))
        for name, card in cards.items()
        for score, value in card["scores"].items()
    ]
    return pd.DataFrame(rows, columns=["model", "score", "value"])


@dataclass(frozen=True, eq=False)
class Show:
    """Held-out scenes and what each model makes of them; a model is loaded when it is needed."""

    context: StageContext
    config: ShowcaseConfig
    cards: Mapping[str, Mapping[str, Any]]
    loaded: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def held(self) -> SceneSet:
        """Scenes of seen sources that no model learned from."""
        return self._scenes(Side.held)

    def _scenes(self, side: Side) -> SceneSet:
        told = self.cards.get("generator", {}).get("config", {})  # whose training scenes are meant
        layout = drawn_layout(int(told.get("scenes.near", 0)))
        known = int(told.get(f"scenes.{layout}", self.config.nearest))
        stream = str(told.get("scenes.stream", NearScenesConfig().stream))
        scenes = NearScenesConfig(held=self.config.scenes, stream=stream)
        setattr(scenes, layout, min(self.config.nearest, known))
        cache = self.context.out.work / "scenes"
        return scene_set(cache, layout, side, scenes, int(told.get("seed", 0)))

    def model(self, name: str) -> Any:
        """A model; None where it is not there."""
        if name not in self.cards:
            return None
        if name not in self.loaded:
            device = choose_device(self.context.section("runtime", RuntimeConfig).device.value)
            self.loaded[name] = load(places(self.config)[name], str(device))
        return self.loaded[name]

    def table(self) -> pd.DataFrame:
        """`COLUMNS`; what a missing model would say is missing."""
        held = self.held
        asked = held.captions[:, 0].tolist()
        real, drawn = to_unit(held.pixels), self._drawn(asked)
        rows: list[Row] = [
            {"number": n, "asked": text, "things": things(held.presence[n])}
            for n, text in enumerate(asked)
        ]
        shown = {"real": real, "remade": self._remade(real), "sample": drawn}
        for kind, pixels in shown.items():
            if pixels is not None:
                self._add(rows, kind, pixels)
        self._add_nearest(rows, real, drawn)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    @torch.no_grad()
    def _drawn(self, asked: Sequence[str]) -> Pixels | None:
        space, generator = self.model("space"), self.model("generator")
        if space is None or generator is None:
            return None
        pixels: Tensor = generator.sample(
            space.encode_text(asked), seeds=range(len(asked)), steps=self.config.steps,
            guidance=self.config.guidance, sampler="dpm",
        )  # fmt: skip
        return pixels.float().clamp(0, 1)

    def _remade(self, pixels: Pixels) -> Pixels | None:
        """Pictures as the autoencoder gives them back: no generator behind it can do better."""
        vae = self.model("autoencoder")
        return None if vae is None else remade(vae, pixels).cpu()

    @torch.no_grad()
    def _add(self, rows: list[Row], kind: str, pixels: Pixels) -> None:
        """Keep pictures, what is said of them, and what is found in them."""
        for row, picture in zip(rows, eight_bits(pixels), strict=True):
            row[kind] = self._keep(f"{kind}-{row['number']:02d}", picture)
        space, captioner, referee = map(self.model, ("space", "captioner", "referee"))
        if space is not None and captioner is not None and f"{kind}_caption" in COLUMNS:
            said = captioner.caption(space.encode_image(pixels.to(_device(space))))
            for row, text in zip(rows, said, strict=True):
                row[f"{kind}_caption"] = str(text)
        if referee is not None:
            presence = referee.judge(pixels.to(_device(referee)))["presence"].cpu().numpy()
            for row, found in zip(rows, presence, strict=True):
                row[f"{kind}_found"] = things(found > _PRESENT)

    def _add_nearest(self, rows: list[Row], real: Pixels, drawn: Pixels | None) -> None:
        """Distances to training scenes; those of real held-out scenes say what is usual."""
        if not self.config.nearest or drawn is None:
            return
        train = self._scenes(Side.train).pixels
        for row, distance in zip(rows, nearest(real, train)[0].tolist(), strict=True):
            row["real_distance"] = distance
        distances, which = nearest(drawn.cpu(), train)
        for row, distance, at in zip(rows, distances.tolist(), which.tolist(), strict=True):
            row["sample_distance"] = distance
            row["nearest"] = self._keep(f"nearest-{row['number']:02d}", train[at])

    def _keep(self, name: str, picture: NDArray[np.uint8]) -> str:
        out = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(out, format="PNG")
        file = f"{FOLDER}/{name}.png"
        with self.context.out.file(file) as target:
            target.write_bytes(out.getvalue())
        return file


def nearest(pictures: Pixels, known: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Root mean squared difference (images,) to the nearest scene, and which one; 0 is a copy.

    Parameters
    ----------
    known : (scenes, side, side, 3).
    """
    flat = pictures.flatten(1)
    best, which = torch.full((len(flat),), torch.inf), torch.zeros(len(flat), dtype=torch.long)
    for start in range(0, len(known), _BLOCK):
        there = to_unit(known[start : start + _BLOCK]).flatten(1)
        least, at = torch.cdist(flat, there).min(dim=1)
        which = torch.where(least < best, at + start, which)
        best = torch.minimum(best, least)
    return best / flat.shape[1] ** 0.5, which


def things(present: NDArray[Any]) -> str:
    """Names of the categories that are there."""
    return ", ".join(name for name, there in zip(CATEGORIES, present, strict=True) if there)


def eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels in [0, 1] as pictures (images, side, side, 3)."""
    rounded = (pixels.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
    return np.asarray(rounded.cpu().numpy())


def _device(model: Any) -> torch.device:
    network = getattr(model, "network", None)
    first = next(network.parameters(), None) if network is not None else None
    return torch.device("cpu") if first is None else first.device


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    """Share of pictures in which the referee finds exactly what is there, and median distances."""
    found: dict[str, float] = {}
    for kind in ("real", "remade", "sample"):
        if table[f"{kind}_found"].notna().any():
            found[f"{kind}.exact"] = float((table[f"{kind}_found"] == table["things"]).mean())
        if f"{kind}_distance" in table and table[f"{kind}_distance"].notna().any():
            found[f"{kind}.distance"] = float(table[f"{kind}_distance"].astype(float).median())
    return found


def _methods(config: ShowcaseConfig, absent: Sequence[str]) -> str:
    left = f" Not there: {', '.join(absent)}." if absent else ""
    return (
        f"The embedded models were shown {config.scenes} simulated scenes that none of them learned"
        f" from; they support no conclusion about brains.{left}"
    )
