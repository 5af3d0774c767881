"""The root config: one tree from which every stage of a chain reads its part."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from neuroattn.captioning.registry import CaptionConfig, WriterConfig
from neuroattn.compare.registry import CompareConfig
from neuroattn.core.config import Section, execution, science, section
from neuroattn.core.errors import ConfigError
from neuroattn.core.sections import ClaimsConfig, Parents, PathsConfig, RuntimeConfig
from neuroattn.core.tracking import TrackingConfig
from neuroattn.data.registry import DatasetConfig
from neuroattn.decoding.ablation_schemas import AblationConfig, ImageryConfig
from neuroattn.decoding.decoder_schemas import DecoderConfig
from neuroattn.decoding.prior_schemas import PriorConfig
from neuroattn.encoding.registry import EncoderConfig, PredictConfig, ScoringConfig
from neuroattn.features.registry import BackboneConfig
from neuroattn.generators.registry import GeneratorChoice, ShowcaseConfig
from neuroattn.maps.registry import MapsConfig
from neuroattn.pipeline.published import PublishedConfig
from neuroattn.reports.registry import ReportConfig
from neuroattn.synthesis.guidance_schemas import GuidanceConfig
from neuroattn.synthesis.registry import SynthesisConfig


@dataclass(kw_only=True)
class RootConfig(Section):
    """All keys of a run."""

    stage: str = execution("", "The stage to run; set by the command line.")
    seed: int = science(0, "Seed of every random stream of a stage.")
    parents: Parents = execution(
        Parents.build, "build missing parents, or require them and fail with the command."
    )
    use: dict[str, str] = execution(
        {},
        "Parent stage -> the artefact to use instead of the one this config implies: a folder, a"
        " label or a fingerprint, as in use.prepare=arrays-1a2b3c4d.",
    )
    notes: dict[str, str] = execution({}, "Free notes, kept in config.yaml: notes.why=pilot.")
    paths: PathsConfig = section(PathsConfig, "Where everything that is written goes.")
    runtime: RuntimeConfig = section(RuntimeConfig, "On what it runs.")
    claims: ClaimsConfig = section(ClaimsConfig, "What to do beside another live process.")
    tracking: TrackingConfig = section(TrackingConfig, "Where metrics go as well.")
    dataset: DatasetConfig = section(DatasetConfig, "Pictures, responses, targets, splits.")
    backbone: BackboneConfig = section(BackboneConfig, "The frozen network that reads pictures.")
    encoder: EncoderConfig = section(EncoderConfig, "The readout from features to responses.")
    scoring: ScoringConfig = section(ScoringConfig, "How well scores are known.")
    predict: PredictConfig = section(PredictConfig, "New pictures for a fitted encoder.")
    generator: GeneratorChoice = section(GeneratorChoice, "The model that draws pictures.")
    showcase: ShowcaseConfig = section(ShowcaseConfig, "What is shown of the embedded models.")
    guidance: GuidanceConfig = section(GuidanceConfig, "How a generator is guided by an encoder.")
    synthesis: SynthesisConfig = section(SynthesisConfig, "What pictures are made for.")
    decoder: DecoderConfig = section(DecoderConfig, "From responses to image embeddings.")
    prior: PriorConfig = section(
        PriorConfig, "Which embedding of its picture a brain is asked for."
    )
    ablation: AblationConfig = section(AblationConfig, "Networks left out of a fitted decoder.")
    imagery: ImageryConfig = section(ImageryConfig, "Other trials for a fitted decoder.")
    captioner: WriterConfig = section(WriterConfig, "What writes captions.")
    caption: CaptionConfig = section(CaptionConfig, "Which targets are captioned, and how.")
    maps: MapsConfig = section(MapsConfig, "What is mapped on the cortex.")
    compare: CompareConfig = section(CompareConfig, "Which encoders are compared, and how.")
    report: ReportConfig = section(ReportConfig, "What the report shows.")
    published: PublishedConfig = section(
        PublishedConfig, "What an experiment says of itself, for `neuroattn reproduce`."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.composer: Callable[[str], RootConfig] | None = None

    def variant(self, overrides: str) -> RootConfig:
        """Config of this run with further overrides; it is executed as this run is.

        The command line composes it: ``composer`` is its function from a line of overrides to
        their config over those of the run.

        Raises
        ------
        ConfigError : the overrides do not compose, or nobody can compose them.
        """
        if self.composer is None:
            raise ConfigError(
                "this config was not composed, so nothing can be set over it",
                expected="a config from the command line, or references to finished artefacts",
                found=overrides,
                fix="name a folder, a label or a fingerprint",
            )
        made = self.composer(overrides)
        for name in _EXECUTED:
            setattr(made, name, copy.deepcopy(getattr(self, name)))
        return made


# What a variant takes from the run that it belongs to.
_EXECUTED = ("parents", "notes", "paths", "runtime", "claims", "tracking")
