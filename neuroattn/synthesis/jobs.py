"""Chunks of pictures: which seeds go together, what is kept of each, what a resume trusts.

A chunk is computed as a whole or not at all. Guidance amplifies the rounding of batched
arithmetic, so a picture belongs to its chunk as it belongs to its seed. A finished chunk is one
whose records name this very recipe and whose pictures have the bytes that were written; that a
file is there proves nothing.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from neuroattn.core.atomic import ensure_folder, read_json, write_bytes, write_json
from neuroattn.core.errors import StorageError
from neuroattn.core.fingerprint import file_digest
from neuroattn.synthesis.registry import SynthesisConfig

Record = dict[str, Any]
Pictures = UInt8[np.ndarray, "images height width 3"]
DONE, FAILED = "done", "failed"
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Chunk:
    """Seeds that are computed together."""

    number: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Set:
    """Pictures of one objective by one method; the unguided ones belong to every objective."""

    method: str
    objective: str | None
    slug: str

    def file(self, seed: int) -> str:
        """Name of a picture in the payload, without its ending."""
        return "-".join(part for part in (self.slug, self.method, f"{seed:06d}") if part)


def chunks(config: SynthesisConfig) -> list[Chunk]:
    """All chunks of a run: seeds with the same quotient by the chunk's size."""
    found: dict[int, list[int]] = {}
    for seed in range(config.first_seed, config.first_seed + config.images):
        found.setdefault(seed // config.chunk, []).append(seed)
    return [Chunk(number, tuple(seeds)) for number, seeds in found.items()]


def mine(found: Sequence[Chunk], config: SynthesisConfig) -> list[Chunk]:
    """The chunks of this job: every so many, which no other job has."""
    shard = config.shard or 0
    return [chunk for place, chunk in enumerate(found) if place % config.shards == shard]


def place(work: Path, wanted: Set, chunk: Chunk) -> Path:
    """Folder of a chunk while the stage runs."""
    return work / wanted.file(chunk.number)


def finished(folder: Path, wanted: Set, chunk: Chunk, recipe: str) -> list[Record] | None:
    """Records of a chunk that is whole and of this recipe; None for any other."""
    records = []
    for seed in chunk.seeds:
        file = folder / f"{wanted.file(seed)}.json"
        record = _readable(file)
        known = (recipe, seed, list(chunk.seeds))
        if record is None or known != tuple(record.get(k) for k in ("recipe", "seed", "chunk")):
            return None
        picture = folder / f"{wanted.file(seed)}.png"
        if record["status"] == DONE and not _is(picture, record["sha256"]):
            return None
        records.append(record)
    return records


def _readable(file: Path) -> Record | None:
    try:
        content = read_json(file)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _is(file: Path, digest: str) -> bool:
    return file.is_file() and file_digest(file) == digest


def keep(
    folder: Path, wanted: Set, records: Sequence[Record], pictures: Sequence[NDArray[np.uint8]]
) -> list[Record]:
    """Write a chunk: pictures first, then a record of each; every file as a whole.

    Returns the records as they can be read again, with the digests of their pictures; those that
    failed have none.
    """
    written = []
    shutil.rmtree(folder, ignore_errors=True)
    ensure_folder(folder)
    for record, picture in zip(records, pictures, strict=True):
        if record["status"] == DONE:
            content = png(picture)
            write_bytes(folder / f"{wanted.file(record['seed'])}.png", content)
            written.append(record | {"sha256": hashlib.sha256(content).hexdigest()})
        else:
            written.append(record)
    files = [folder / f"{wanted.file(record['seed'])}.json" for record in written]
    for file, record in zip(files, written, strict=True):
        write_json(file, record)
    return [read_json(file) for file in files]  # what a resumed run has, order of keys and all


def png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """The bytes of a PNG: the same for the same pixels and version of Pillow."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(out, format="PNG")
    return out.getvalue()


def eight_bits(pixels: Float[Tensor, "images 3 height width"]) -> Pictures:
    """Pixels in [0, 1] in 8 bits: what is kept, and what is scored."""
    rounded = (pixels.clamp(0, 1) * 255).round().byte()
    pictures: Pictures = rounded.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pictures


def gradient_facts(norms: Float[Tensor, " steps"]) -> Mapping[str, float]:
    """Norms of a picture's gradients at the steps that were guided."""
    guided = norms[norms > 0]
    if len(guided) == 0:
        return {}
    return {
        "first": float(guided[0]), "median": float(guided.median()), "last": float(guided[-1]),
        "largest": float(guided.max()), "steps": float(len(guided)),
    }  # fmt: skip


@contextmanager
def memory_named(chunk: int) -> Iterator[None]:
    """Say which setting to lower where memory runs out.

    Raises
    ------
    StorageError : it did.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's own error is a RuntimeError
        told = str(error)
        known = isinstance(error, MemoryError)
        if not known and not any(words in told.lower() for words in _OUT_OF_MEMORY):
            raise
        raise StorageError(
            "memory ran out while pictures were drawn",
            expected=f"room for {chunk} pictures with their gradients",
            found=told.splitlines()[0] if told else type(error).__name__,
            fix=f"set synthesis.chunk={max(1, chunk // 2)}, then generator.checkpointing=true,"
            " then guidance.decoder=cheap",
        ) from error
