"""The root config: one tree from which every stage of a chain reads its part."""

from __future__ import annotations

from dataclasses import dataclass

from neuroattn.core.config import Section, execution, science, section
from neuroattn.core.sections import ClaimsConfig, Parents, PathsConfig, RuntimeConfig
from neuroattn.core.tracking import TrackingConfig
from neuroattn.data.registry import DatasetConfig
from neuroattn.encoding.registry import EncoderConfig, PredictConfig, ScoringConfig
from neuroattn.features.registry import BackboneConfig
from neuroattn.maps.registry import MapsConfig
from neuroattn.reports.registry import ReportConfig


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
    maps: MapsConfig = section(MapsConfig, "What is mapped on the cortex.")
    report: ReportConfig = section(ReportConfig, "What the report shows.")
