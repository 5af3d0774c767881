"""Choices of the captioner group, and the stages ``bank`` and ``caption``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from neuroattn.core.config import Choice, Section, at_least, execution, science, section, share
from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.resources import user_path
from neuroattn.core.stage import Stage
from neuroattn.encoding.registry import TrainedConfig
from neuroattn.generators.registry import GENERATORS, GUIDANCE

#: Backbones whose pooled vector lives in a space that has a text side.
SPACES = ("space",)
#: Weights of ClipCap's form, the first that is there; a state dict of torch has no other name.
CLIPCAP = ("weights.safetensors", "weights.pt")


class BankSource(Enum):
    """Where natural pictures come from."""

    dataset = "dataset"  # the training images of the encoder's fold
    folder = "folder"
    list = "list"  # a text file, one picture a line
    hdf5 = "hdf5"  # stimuli (n, height, width, 3) uint8, as NSD ships them


class Measure(Enum):
    """What a target is let through by."""

    corrected = "corrected"  # r squared over the noise ceiling
    r_squared = "r_squared"  # for data without repeats; said in every table


@dataclass(kw_only=True)
class BankConfig(Section):
    """Natural pictures that a target's weight is projected onto."""

    source: BankSource = science(
        BankSource.dataset,
        "dataset (training images of the encoder's fold), folder, list (a text file) or hdf5.",
    )
    path: str | None = execution(
        None,
        "The folder, the list or the HDF5 file; digests of what is read enter the fingerprint.",
    )
    table: str = science("imgBrick", "Dataset inside the HDF5 file: (n, height, width, 3) uint8.")
    captions: str | None = execution(
        None,
        "JSON file: picture's name -> captions, for captioners that read them. Its digest enters"
        " the fingerprint.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.path is None) != (self.source is BankSource.dataset):
            raise ConfigError(
                "the bank of natural pictures is stated by half",
                expected="caption.bank.path beside a source other than dataset",
                found=f"source={self.source.value}, path={self.path}",
                fix="set caption.bank.source=folder caption.bank.path=FOLDER, or neither",
            )


class Scored(Enum):
    """On which images a target has to be explained to be captioned."""

    training = "training"  # those held out of training to select: captions know no test image
    test = "test"


@dataclass(kw_only=True)
class GateConfig(Section):
    """Which targets are captioned at all."""

    images: Scored = science(
        Scored.training,
        "training: r on training images held out to select (r_selection), so that test images have"
        " no say in which targets are captioned; where the encoder keeps none, and with test: r on"
        " test images.",
    )
    measure: Measure = science(
        Measure.corrected, "corrected (r squared over the noise ceiling) or r_squared."
    )
    threshold: float = share(0.1, "Least value of the measure.")
    min_ceiling: float = share(
        0.05, "Least noise ceiling: below it, dividing by it makes anything of chance."
    )
    q: float = share(
        0.05,
        "Largest false discovery rate (column q of scores.tsv), asked where test images are"
        " scored, which is what it is of; 1 asks nothing.",
    )


@dataclass(kw_only=True)
class AnalysisConfig(Section):
    """What is counted in the captions, and how they are held against test images."""

    nouns: str = science(
        "lexicon",
        "How nouns are found: lexicon (built in), or a pipeline of spaCy by name or folder.",
    )
    top_nouns: int = at_least(8, "Nouns that are listed for each region.")
    concepts: list[str] = science(
        ["a face", "a person", "an animal", "food", "a vehicle", "a word"],
        "Texts whose cosine with each target's weight is mapped.",
    )
    verified: int = at_least(
        5000,
        "Most targets that are held against test images, the best on held-out training images"
        " (5000 as in LaVCa); 0 verifies none.",
        0,
    )
    deals: int = at_least(20, "How often captions are dealt to other targets, as the control.")
    draws: int = at_least(400, "Bootstrap draws of targets, and of test images.", 2)


@dataclass(kw_only=True)
class ImaginedConfig(Section):
    """Captions drawn as pictures, which the encoder and the image-text space are shown."""

    targets: int = at_least(
        0,
        "Captioned targets, the surest first, whose caption is drawn with `generator` and shown to"
        " the encoder; 0 is none.",
        0,
    )
    pictures: int = at_least(4, "Pictures of each caption, and natural ones beside them.")
    steps: int = at_least(25, "Denoising steps.")
    weight: float = science(
        GUIDANCE,
        "Classifier-free guidance by the caption; 1 is none, hub models are used at 7.5.",
        check=lambda factor: factor >= 0,
        must="be 0 or more",
    )
    batch: int = at_least(16, "Pictures that are drawn at a time.", kind=execution)


@dataclass(kw_only=True)
class CaptionConfig(Section):
    """How targets are turned into natural embeddings, and which are captioned."""

    space: str | None = execution(
        None,
        "Model folder (or embedded name) of the text side; null takes that of the backbone.",
    )
    bank: BankConfig = section(BankConfig, "Natural pictures to project onto.")
    gate: GateConfig = section(GateConfig, "Which targets are captioned.")
    temperature: float = science(
        150.0,
        "Factor on cosines in the softmax over the bank; 150 as published (BrainSCUBA's run).",
        check=lambda factor: factor > 0,
        must="be above 0",
    )
    draws: int = at_least(5, "Disjoint parts of the bank whose projections are compared.")
    fold: int = at_least(0, "The fold whose model and training images are used.", 0)
    rois: list[str] | None = science(None, "Regions whose targets are captioned; null takes all.")
    nulls: int = at_least(
        200, "Targets with shuffled responses that go the same way; 0 leaves them out.", 0
    )
    top_n: int = at_least(50, "Top bank pictures of a target that concepts are found among.")
    concepts: int = at_least(3, "Most captions of one target.")
    apart: float = science(
        0.7,
        "Mean distance (1 - cosine, after the bank's mean is taken out) at which clusters of top"
        " pictures are two concepts.",
        check=lambda distance: 0 < distance <= 2,
        must="be above 0 and at most 2",
    )
    least: float = share(0.2, "Least share of the top pictures that makes a concept.")
    analysis: AnalysisConfig = section(AnalysisConfig, "What is counted in the captions.")
    imagined: ImaginedConfig = section(ImaginedConfig, "Captions drawn as pictures.")
    draw_captions: bool = science(
        True,
        "Caption the projection onto each draw too (captioners that read embeddings): what a"
        " target's caption owes to the bank. Costs `draws` further captions a target.",
    )
    memory_mib: int = at_least(
        1024, "Memory of the projection's running sums, MiB.", kind=execution
    )


@dataclass(kw_only=True)
class WriterConfig(Choice):
    """What all captioners have in common: nothing but a name."""


@dataclass(kw_only=True)
class BatchedConfig(WriterConfig):
    """Keys of captioners that run a model."""

    batch: int = at_least(64, "Captions that are written at a time.", kind=execution)


@dataclass(kw_only=True)
class PrefixLmConfig(BatchedConfig):
    """A language model behind a prefix made from the embedding (ClipCap)."""

    name: str = science("prefix_lm", "The choice's name in its registry.")
    model: str = execution(
        "captioner",
        "The embedded captioner, a folder of one, or a folder with ClipCap's weights beside"
        " `language/` (a GPT-2). Digests of its files enter the fingerprint.",
    )
    beams: int = at_least(5, "Paths kept at each step; 1 takes the likeliest word. 5 as published.")
    sample: float = science(
        0.0,
        "Temperature of sampling in place of a search, seeded for each caption; 0 searches.",
        check=lambda value: value >= 0,
        must="be 0 or more",
    )
    length: int = at_least(67, "Most tokens of a caption; 67 as published.")
    stop: str = science(".", "What ends a caption of a model without an end of its own.")


@dataclass(kw_only=True)
class NearestConfig(BatchedConfig):
    """A caption of one of the top bank pictures: the one that agrees most with the others."""

    name: str = science("nearest", "The choice's name in its registry.")
    pictures: int = at_least(10, "Top pictures whose captions are compared.")


@dataclass(kw_only=True)
class KeywordsConfig(WriterConfig):
    """Keywords of the top pictures' captions that fit the target, put together (after LaVCa)."""

    name: str = science("keywords", "The choice's name in its registry.")
    keywords: int = at_least(5, "Most keywords of a caption; 5 as in LaVCa's best setting.")
    fit: float = share(
        0.5, "Least fit of a keyword, as a share of the best one's lead over the average keyword."
    )


@dataclass(kw_only=True)
class VlmConfig(NearestConfig):
    """Captions that an image-text-to-text model gives of the top pictures; the best of them."""

    name: str = science("vlm", "The choice's name in its registry.")
    model: str = execution(
        "", "Folder of an image-text-to-text model of transformers, with its processor."
    )
    prompt: str = science("Describe the picture in one sentence.", "What the model is asked.")
    pictures: int = at_least(5, "Top pictures that are described.")
    length: int = at_least(40, "Most new tokens of a description.")
    batch: int = at_least(4, "Pictures that are described at a time.", kind=execution)


CAPTIONERS = Registry(
    "captioner",
    {
        "prefix_lm": Entry(
            PrefixLmConfig,
            "neuroattn.captioning.prefix_lm:PrefixLm",
            leaves="neuroattn.captioning.registry:model_leaves",
        ),
        "nearest": Entry(NearestConfig, "neuroattn.captioning.nearest:Nearest"),
        "keywords": Entry(KeywordsConfig, "neuroattn.captioning.keywords:Keywords"),
        "vlm": Entry(
            VlmConfig,
            "neuroattn.captioning.vlm:Vlm",
            leaves="neuroattn.captioning.registry:model_leaves",
        ),
    },
)


def model_leaves(config: Any) -> Mapping[str, Path]:
    """Files of the captioner's model, by their names inside its folder.

    Weights of ClipCap's form and chat templates count as well: both decide what is said.

    Raises
    ------
    ConfigError : no model is named.
    MissingDataError : it is not there.
    """
    from neuroattn.generators.loading import files_of, find

    check_named(config)
    folder = find(config.model)
    files = dict(files_of(config.model))
    more = [folder / name for name in CLIPCAP] + sorted(folder.rglob("*.jinja"))
    files |= {path.relative_to(folder).as_posix(): path for path in more if path.is_file()}
    return {f"captioner/{name}": path for name, path in files.items()}


def check_named(config: Any) -> None:
    """Refuse a captioner without a model: an empty name would stand for the current folder.

    Raises
    ------
    ConfigError : ``captioner.model`` is empty.
    """
    if not config.model:
        raise ConfigError(
            f"captioner={config.name} does not say which model",
            expected="a folder of such a model",
            found="captioner.model is not set",
            fix="set captioner.model=FOLDER",
        )


def leaves(config: Any) -> Mapping[str, Path]:
    """Input files of ``caption`` by stable name, from the root config."""
    from neuroattn.generators.loading import files_of

    found = dict(CAPTIONERS.leaves(config.captioner))
    if config.caption.bank.captions is not None:
        found["captions.json"] = user_path(config.caption.bank.captions)
    if config.caption.space is not None:
        files = files_of(config.caption.space)
        found |= {f"space/{name}": path for name, path in files.items()}
    if config.caption.imagined.targets:
        from neuroattn.generators.places import text_leaves

        found |= {**GENERATORS.leaves(config.generator), **text_leaves(config.generator)}
    return found


def bank_leaves(config: Any) -> Mapping[str, Path]:
    """Pictures and captions of the bank by stable name, and the backbone's files."""
    from neuroattn.captioning.bank_files import files_of_bank
    from neuroattn.features.registry import BACKBONES

    return {**files_of_bank(config.caption.bank), **BACKBONES.leaves(config.backbone)}


def _drawn_with(config: Any) -> tuple[str, ...]:
    return ("generator",) if config.caption.imagined.targets else ()


def _parents(config: Any) -> tuple[str, ...]:
    own = config.caption.bank.source is BankSource.dataset
    return ("prepare", "features", "encode") if own else ("prepare", "features", "encode", "bank")


def _check_space(config: Any) -> Mapping[str, tuple[str, str]]:
    """Cite nothing; refuse a captioner of embeddings where the encoder can have none.

    Raises
    ------
    ConfigError : the weights of this run's encoder are no directions of a space.
    """
    pooled = list(config.backbone.layers) in ([], ["pooled"])  # none named: those of a file
    linear = not isinstance(config.encoder, TrainedConfig)
    own = not {"encode", "features"} & set(config.use)
    if own and config.captioner.name == "prefix_lm" and not (pooled and linear):
        found = f"backbone={config.backbone.name} encoder={config.encoder.name}"
        raise no_space(config.captioner.name, f"{found}, whose weights are no embeddings")
    return {}


def no_space(who: str, found: str) -> ConfigError:
    """A captioner of embeddings beside an encoder that has none."""
    return ConfigError(
        f"captioner={who} reads embeddings of an image-text space",
        expected="backbone=space encoder=linear_cls",
        found=found,
        fix="fit such an encoder, or set captioner=nearest or captioner=vlm",
    )


STAGES = (
    Stage(
        name="bank",
        version=2,
        about="run the backbone over a bank of natural pictures, for captions",
        reads=("caption.bank", "backbone"),
        leaves="neuroattn.captioning.registry:bank_leaves",
        run="neuroattn.captioning.bank_stage:run",
        label=lambda config: f"bank-{config.backbone.name}",
    ),
    Stage(
        name="caption",
        version=7,
        about="say in words what each target prefers: its weight as a natural embedding, captioned",
        reads=("caption", "captioner", "seed"),
        also_reads=_drawn_with,
        parents=_parents,
        cites=_check_space,
        leaves="neuroattn.captioning.registry:leaves",
        run="neuroattn.captioning.stage:run",
        label=lambda config: f"{config.captioner.name}-{config.encoder.name}",
    ),
)
