"""Captions drawn and shown: what pictures of a caption do to encoder and image-text space.

The captions of the surest targets are drawn with the configured generator. Two things are asked
of the pictures:

- **Activation** (`neuroattn.captioning.imagined`): does the encoder predict that they drive their
  target, beside pictures of other captions and natural test pictures? It is the encoder whose
  weights were captioned, so this tells whether a caption holds what the weights say.
- **Image level** (LaVCa, section on evaluation; `neuroattn.captioning.verification`): does the
  target respond to test images that resemble them? Responses are measured, so no model is its own
  judge.

What was seen of a caption is kept in the stage's work folder: a run that was killed draws on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from neuroattn.captioning.findings import VERIFIED, verified_metrics
from neuroattn.captioning.imagined import (
    CAPTION,
    RANDOM,
    SHUFFLED,
    TOP,
    FromText,
    Judge,
    Painter,
    judged,
    pictures_of,
    sets_of,
    summary,
)
from neuroattn.captioning.registry import AnalysisConfig, CaptionConfig, ImaginedConfig
from neuroattn.captioning.told import Ground
from neuroattn.captioning.verification import Verified, verify
from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.atomic import ensure_folder, read_json, write_json
from neuroattn.core.stage import StageContext
from neuroattn.core.tables import read_tsv
from neuroattn.data.splits import Fold
from neuroattn.encoding.encoder import load_encoder
from neuroattn.generators.registry import GENERATORS, GeneratorChoice

Floats = NDArray[np.float64]
IMAGE: Final = "image"
TABLE, BY_TARGET = "imagined.tsv", "imagined_targets.tsv"
_NAMES: Final = {CAPTION: "", SHUFFLED: ".shuffled", TOP: ".top", RANDOM: ".random"}
_FEWEST_TARGETS, _FEWEST_IMAGES = 2, 3  # that a score can be had of


@dataclass(frozen=True, eq=False, kw_only=True)
class Sight:
    """Who draws, and who looks.

    Parameters
    ----------
    painter : opens the generator; called only where something is left to draw.
    encoder : pixels in [0, 1] to responses (images, targets) of all targets.
    space : has ``encode_image``; None without an image-text space.
    picture : pixels (height, width, 3) uint8 of a test image, by its id.
    """

    painter: Callable[[], Painter]
    encoder: Judge
    space: Any
    picture: Callable[[int], NDArray[np.uint8]]
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Seen:
    """Means over the pictures of one caption.

    Parameters
    ----------
    responses : (targets,) predicted, of the targets that were chosen.
    embedding : (dim,) of unit-length embeddings; empty without a space.
    """

    responses: Floats
    embedding: Floats


def open_sight(
    context: StageContext, fold: Fold, space: Any, picture: Any, device: str
) -> Sight | None:
    """The encoder of the fold, opened, and the generator, yet to be; None where none is asked for.

    Called before anything is captioned: an encoder that cannot look at pictures is told at once.

    Raises
    ------
    ConfigError : the readout cannot be applied to pixels as it was stored.
    """
    options = context.section("caption", CaptionConfig).imagined
    if not options.targets:
        return None

    def painter() -> Painter:
        chosen = context.section("generator", GeneratorChoice)
        return FromText(
            GENERATORS.load(chosen.name)(chosen, device), options.steps, options.weight
        )  # fmt: skip

    folder = context.parents["encode"].folder
    return Sight(
        painter=painter, encoder=load_encoder(folder, fold=fold.index, device=device),
        space=space, picture=picture, device=device,
    )  # fmt: skip


def drawn_methods(context: StageContext, metrics: Mapping[str, float]) -> str:
    """What the Methods text says of the pictures; nothing where none was drawn."""
    count = metrics.get("imagined.targets", 0.0)
    if not count:
        return ""
    options = context.section("caption", CaptionConfig).imagined
    name = context.section("generator", GeneratorChoice).name
    return (
        f" Captions of the {count:.0f} surest targets were drawn with the generator {name}"
        f" ({options.pictures} pictures each, {options.steps} steps, guidance {options.weight:g})"
        " and shown to the encoder that was captioned."
    )


def surest(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """The first caption of each gated target, at most so many, the surest first.

    Parameters
    ----------
    frame : ``captions.tsv``, captions of a target in their order.
    """
    gated, null = (frame[name].astype(bool) for name in ("gated", "null"))
    own = frame[gated & ~null & (frame["caption"].fillna("") != "")].drop_duplicates("target")
    own = own.sort_values(["confidence", "target"], ascending=[False, True], kind="stable")
    return own.head(most)[["target", "caption"]].reset_index(drop=True)


def show(
    out: ArtefactWriter,
    chosen: pd.DataFrame,
    ground: Ground,
    sight: Sight,
    config: CaptionConfig,
    *,
    seed: int,
    progress: Any,
) -> dict[str, float]:
    """Draw, look, and write `TABLE`, `BY_TARGET` and the image level in `VERIFIED`; metrics.

    Parameters
    ----------
    chosen : target (its row) and caption, as `surest` gives them.

    The image level needs a space, two targets and three test images; without them it is not there.

    Raises
    ------
    ConfigError, MissingDataError, DataError : of the generator; predictions that are not finite.
    """
    if not len(chosen):
        return {"imagined.targets": 0.0}
    options, analysis = config.imagined, config.analysis
    columns = chosen["target"].to_numpy(dtype=np.int64)
    chosen = chosen.assign(
        subject=ground.prepared.targets["subject"].map(str).to_numpy()[columns],
        name=ground.prepared.targets["target"].to_numpy()[columns],
    )
    seen = seen_of(chosen, sight, options, out.work / "imagined", seed=seed, progress=progress)
    table = _activations(chosen, seen, ground, options, seed)
    names = dict(enumerate(chosen["name"]))
    told = table["target"].map(dict(enumerate(chosen["caption"])))
    out.table(BY_TARGET, table.assign(target=table["target"].map(names), caption=told))
    means = summary(table, draws=analysis.draws, seed=seed)
    out.table(TABLE, means)
    parts = _verified(chosen, seen, ground, sight, analysis, seed=seed)
    _add(out, parts)
    return {"imagined.targets": float(len(chosen)), **_metrics(means, list(parts.values()))}


def seen_of(
    chosen: pd.DataFrame,
    sight: Sight,
    options: ImaginedConfig,
    folder: Path,
    *,
    seed: int,
    progress: Any,
) -> dict[str, Seen]:
    """What every different caption's pictures look like; those in ``folder`` are read.

    Captions are drawn in the same groups whatever is there already, so a resumed run rounds alike.
    """
    columns = chosen["target"].to_numpy(dtype=np.int64)
    files = {one: _file(folder, one, columns) for one in dict.fromkeys(chosen["caption"])}
    captions, paint = list(files), None
    step = max(1, options.batch // options.pictures)
    for start in range(0, len(captions), step):
        group = captions[start : start + step]
        if all(files[caption].is_file() for caption in group):
            progress.resume(len(group))
            continue
        paint = paint or sight.painter()
        drawn = pictures_of(group, paint, each=options.pictures, seed=seed, group=options.batch)
        for caption, pixels in drawn:
            _keep(files[caption], _looked(pixels.to(sight.device), sight, columns))
            progress.advance(1)
    return {caption: _read(file) for caption, file in files.items()}


def _looked(pixels: torch.Tensor, sight: Sight, columns: NDArray[np.int64]) -> Seen:
    at = torch.from_numpy(columns.copy())  # a view of a table may be read-only
    responses = judged(
        pixels, lambda shown: sight.encoder(shown)[:, at.to(shown.device)], len(at)
    )  # fmt: skip
    embedding = np.zeros(0)
    if sight.space is not None:
        embedding = _embedded(pixels, sight.space).mean(axis=0)
    return Seen(responses, embedding)


def _keep(file: Path, seen: Seen) -> None:
    ensure_folder(file.parent)
    write_json(file, {name: value.tolist() for name, value in vars(seen).items()})


def _file(folder: Path, caption: str, columns: NDArray[np.int64]) -> Path:
    """Named by the caption and by whose responses to it are kept."""
    key = json.dumps([caption, columns.tolist()])
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _read(file: Path) -> Seen:
    content = read_json(file)
    return Seen(np.array(content["responses"]), np.array(content["embedding"]))


@torch.no_grad()
def _embedded(pixels: torch.Tensor, space: Any) -> Floats:
    """Unit-length embeddings (images, dim)."""
    return np.asarray(space.encode_image(pixels).cpu().numpy(), dtype=np.float64)


def _activations(
    chosen: pd.DataFrame,
    seen: Mapping[str, Seen],
    ground: Ground,
    options: ImaginedConfig,
    seed: int,
) -> pd.DataFrame:
    """Activation of every chosen target, by its number in ``chosen``, on each set of pictures."""
    columns = chosen["target"].to_numpy(dtype=np.int64)
    predicted = ground.test("predicted", columns).astype(np.float64)
    parts = []
    for at in _by_subject(chosen):
        captions = chosen["caption"].iloc[at].tolist()
        natural = predicted[:, at]
        of_caption = {caption: seen[caption].responses[at] for caption in captions}
        part = sets_of(
            captions, of_caption, natural[np.isfinite(natural).all(axis=1)],
            each=options.pictures, top=options.pictures, seed=seed,
        )  # fmt: skip
        parts.append(part.assign(target=at[part["target"].to_numpy(dtype=np.int64)]))
    return pd.concat(parts, ignore_index=True)


def _by_subject(chosen: pd.DataFrame) -> list[NDArray[np.int64]]:
    """Rows of ``chosen`` of each subject: test images differ between them."""
    subject = chosen["subject"].to_numpy()
    return [np.flatnonzero(subject == name) for name in dict.fromkeys(subject)]


def _verified(
    chosen: pd.DataFrame,
    seen: Mapping[str, Seen],
    ground: Ground,
    sight: Sight,
    analysis: AnalysisConfig,
    *,
    seed: int,
) -> dict[str, Verified]:
    """The image-level score of every subject."""
    if sight.space is None:
        return {}
    images = ground.images()
    measured = ground.test("measured", chosen["target"].to_numpy(dtype=np.int64))
    vectors = natural(np.unique(images), sight)
    out: dict[str, Verified] = {}
    for at in _by_subject(chosen):
        own = chosen.iloc[at]
        responses = measured[:, at]
        kept = np.isfinite(responses).all(axis=1)
        if len(own) < _FEWEST_TARGETS or kept.sum() < _FEWEST_IMAGES:
            continue
        out[str(own["subject"].iloc[0])] = verify(
            IMAGE,
            np.stack([seen[caption].embedding for caption in own["caption"]]),
            np.stack([vectors[image] for image in images[kept].tolist()]),
            responses[kept],
            deals=analysis.deals, draws=analysis.draws, seed=seed,
        )  # fmt: skip
    return out


def natural(images: NDArray[np.int64], sight: Sight) -> dict[int, Floats]:
    """Embeddings (dim,) of test images by id, made as those of drawn pictures are."""
    found = {}
    for image in images.tolist():
        pixels = torch.from_numpy(np.array(sight.picture(image)))
        shown = pixels.permute(2, 0, 1)[None].float() / 255
        found[image] = _embedded(shown.to(sight.device), sight.space)[0]
    return found


def _add(out: ArtefactWriter, parts: Mapping[str, Verified]) -> None:
    """Put the image level beside the sentence level, which stands there already."""
    if not parts:
        return
    tables = [part.table.assign(subject=name) for name, part in parts.items()]
    file = out.folder / VERIFIED
    if file.is_file():  # rows of the image level are of a run that was stopped after this
        known = read_tsv(file)
        tables.insert(0, known[known["measure"] != IMAGE])
    out.table(VERIFIED, pd.concat(tables, ignore_index=True))


def _metrics(means: pd.DataFrame, verified: Sequence[Verified]) -> dict[str, float]:
    """Dotted figures: activations of each set and their excess over random pictures."""
    found: dict[str, float] = {}
    for _, row in means.iterrows():
        name = f"imagined{_NAMES[str(row['set'])]}"
        found[name] = float(row["activation"])
        if row["set"] != RANDOM:
            ends = {"": "over_random", ".low": "over_low", ".high": "over_high"}
            found |= {f"{name}.over_random{end}": float(row[key]) for end, key in ends.items()}
    each = [verified_metrics(part) for part in verified]
    means_of = {
        key: float(np.mean([one[key] for one in each])) for key in (each[0] if each else ())
    }
    return found | means_of
