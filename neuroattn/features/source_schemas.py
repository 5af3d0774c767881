"""Keys of features that no image network makes, and of both sides of an image-text space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neuroattn.core.config import at_least, execution, science
from neuroattn.core.errors import ConfigError
from neuroattn.features.backbone_schemas import BackboneConfig


def _only(layer: str, doc: str) -> Any:
    """Declare the layers of a source that has but one."""
    return science([layer], doc, check=lambda names: names == [layer], must=f"be [{layer}]")


def _space() -> Any:
    """Declare which image-text space is read, on either of its sides."""
    return execution(
        "space",
        "The embedded space, or a folder: one of ours, or a CLIP of transformers. Digests of its"
        " files enter the fingerprint.",
    )


@dataclass(kw_only=True)
class SourceConfig(BackboneConfig):
    """Features that come from no pictures; keys of pictures and of arithmetic do nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blur.levels:
            raise ConfigError(
                f"backbone={self.name} reads no picture, so there is none to blur",
                expected="backbone.blur.levels=[]",
                found=f"backbone.blur.levels={self.blur.levels}",
                fix="choose a backbone that reads pictures, as backbone=efficientnet_lite0",
            )

    @property
    def source(self) -> str:
        """``"module:class"`` of the `neuroattn.features.sources.Source`."""
        raise NotImplementedError


@dataclass(kw_only=True)
class ArraysSourceConfig(SourceConfig):
    """Arrays from a file, by image id."""

    name: str = science("arrays", "The choice's name in its registry.")
    layers: list[str] = science([], "Datasets of an HDF5 file that are read; empty reads all.")
    file: str | None = execution(
        None, "File FILE.npy (one layer) or FILE.h5; its digest enters the fingerprint."
    )
    ids: str | None = execution(
        None,
        "File FILE.npy with the image id of each row; null takes /image of an HDF5 file, or row"
        " k for image k. Its digest enters the fingerprint.",
    )

    @property
    def source(self) -> str:
        """The class that reads it."""
        return "neuroattn.features.arrays_source:ArraysSource"


@dataclass(kw_only=True)
class CaptionsSourceConfig(SourceConfig):
    """Words of captions, hashed."""

    name: str = science("captions", "The choice's name in its registry.")
    layers: list[str] = _only("captions", "The one layer there is.")
    dim: int = at_least(2048, "Coordinates that words are hashed to.", 16)
    words: int = science(
        2,
        "Longest group of neighbouring words that counts.",
        check=lambda count: 1 <= count <= 4,
        must="lie between 1 and 4",
    )

    @property
    def source(self) -> str:
        """The class that makes it."""
        return "neuroattn.features.captions_source:CaptionsSource"


@dataclass(kw_only=True)
class SpaceBackboneConfig(BackboneConfig):
    """The image side of an image-text space: one unit-length vector for a picture."""

    name: str = science("space", "The choice's name in its registry.")
    model: str = _space()
    layers: list[str] = _only("pooled", "The one layer there is: the embedding.")
    image_size: int = science(
        160, "Side of the square picture that the space sees: 160 for the embedded one."
    )
    pool: int | None = science(None, "Does nothing: an embedding has one cell.")


@dataclass(kw_only=True)
class SpaceCaptionsConfig(SourceConfig):
    """The text side of an image-text space: captions of a picture, where pictures lie too."""

    name: str = science("space_captions", "The choice's name in its registry.")
    model: str = _space()
    layers: list[str] = _only("pooled", "The one layer there is, named as that of backbone=space.")
    captions: str | None = execution(
        None,
        "JSON file: picture's name, whole or its last part -> captions; they come before those of"
        " the dataset, which serve alone for null. Its digest enters the fingerprint.",
    )

    @property
    def source(self) -> str:
        """The class that makes it, above this room."""
        return "neuroattn.generators.caption_source:SpaceCaptions"
