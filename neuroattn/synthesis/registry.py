"""Choices of the group ``guidance``, the section ``synthesis`` and the stage ``synthesize``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroattn.core.config import (
    Section,
    at_least,
    execution,
    science,
    section,
)
from neuroattn.core.errors import ConfigError, MissingDataError
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.resources import user_path
from neuroattn.core.stage import Stage
from neuroattn.generators.registry import GENERATORS
from neuroattn.synthesis.evaluation_schemas import EvaluationConfig, evaluation_leaves
from neuroattn.synthesis.guidance_schemas import (
    UNGUIDED,
    BestOfNConfig,
    BrainDiveConfig,
    CaptionsConfig,
    DenoisedConfig,
    FlowConfig,
    GuidanceConfig,
    NoiseOptimisationConfig,
    PrimedConfig,
    RetrievalConfig,
    SteeredConfig,
    UnguidedConfig,
    WindowedConfig,
    WordsConfig,
    X0Config,
)
from neuroattn.synthesis.wishes import Wish, parse

JUDGE, GUIDE, SHARD = "judge", "guide", "shard"  # how cited artefacts are called
TOLD = "captions"  # and the one whose captions pictures are drawn from


def _method(schema: type, name: str) -> Entry:
    return Entry(schema, f"neuroattn.synthesis.{name}")


GUIDANCE = Registry(
    "guidance",
    {
        "none": _method(UnguidedConfig, "steering:Unguided"),
        "braindive": _method(BrainDiveConfig, "steering:BrainDive"),
        "x0": _method(X0Config, "steering:X0"),
        "windowed": _method(WindowedConfig, "steering:Windowed"),
        "flow": _method(FlowConfig, "steering:Flow"),
        "noise_optimisation": _method(
            NoiseOptimisationConfig, "noise_optimisation:NoiseOptimisation"
        ),
        "best_of_n": _method(BestOfNConfig, "selection:BestOfN"),
        "retrieval": _method(RetrievalConfig, "selection:Retrieval"),
        "captions": _method(CaptionsConfig, "told:FromCaptions"),
        "primed": _method(PrimedConfig, "told:Primed"),
    },
)


@dataclass(kw_only=True)
class SynthesisConfig(Section):
    """For what pictures are made, and how many."""

    objectives: list[str] = science(
        [],
        "What is raised, a picture set each: a region (FFA-1, lh.FFA-1), target:12, parcel:NAME,"
        " cluster:1/3@FFA-1, direction:NAME; with - before it lowered, A - B, A and not B.",
        check=lambda names: len(set(names)) == len(names),
        must="name each objective once",
    )
    images: int = at_least(20, "Pictures for each objective.")
    first_seed: int = at_least(0, "Seed of the first picture; the others follow it.", 0)
    chunk: int = at_least(
        8,
        "Pictures that are computed together; another chunk gives other pictures, because guidance"
        " amplifies the rounding of batched arithmetic. Lower it if memory runs out.",
    )
    unguided: bool = science(
        True, "Draw the unguided pictures of the same seeds as well (method none)."
    )
    text: str | None = science(None, "What the generator is told; null is nothing, as published.")
    text_guidance: float = science(
        1.0, "Classifier-free guidance by that text; 1 is none.",
        check=lambda x: x >= 0, must="be 0 or more",
    )  # fmt: skip
    select: float = science(
        0.2, "Share of the pictures that is marked as selected, the highest by the guide.",
        check=lambda x: 0 < x <= 1, must="be above 0 and at most 1",
    )  # fmt: skip
    fold: int | None = science(
        None, "The fold whose model guides; null averages all folds.",
        check=lambda fold: fold is None or fold >= 0, must="be 0 or more, or null",
    )  # fmt: skip
    guides: dict[str, str] = execution(
        {},
        "Further encoders whose objectives are averaged with the first one's: name -> a folder, a"
        " label, a fingerprint, or overrides of this run's own keys.",
    )
    judge: str | None = execution(
        None,
        "Another encoder that scores the pictures and never guides: a folder, a label, a"
        " fingerprint, or overrides, as in 'backbone=efficientnet_lite2'.",
    )
    judge_fold: int | None = science(
        None, "The fold whose model judges; null averages all folds.",
        check=lambda fold: fold is None or fold >= 0, must="be 0 or more, or null",
    )  # fmt: skip
    captions: str | None = execution(
        None,
        "Where guidance=captions and guidance=primed have their words from: a caption artefact by"
        " folder, label, fingerprint or overrides; null is the one of this run's own encoder and"
        " captioner.",
    )
    directions: dict[str, str] = execution(
        {},
        "Name -> FILE.npy with a weight for each target, for objectives such as direction:NAME;"
        " digests of the files enter the fingerprint.",
    )
    evaluation: EvaluationConfig = section(EvaluationConfig, "What else looks at the pictures.")
    shards: int = at_least(1, "Jobs among which the chunks are divided.")
    shard: int | None = science(
        None,
        "The share that this job draws, from 0; null with several shards puts them together.",
        check=lambda shard: shard is None or shard >= 0,
        must="be 0 or more, or null",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shard is not None and self.shard >= self.shards:
            raise ConfigError(
                "there is no such shard",
                expected=f"synthesis.shard from 0 to {self.shards - 1}",
                found=self.shard,
                fix=f"set synthesis.shards={self.shard + 1} or more",
            )


def check_objectives(synthesis: SynthesisConfig) -> list[Wish]:
    """The objectives, read before anything is built.

    Raises
    ------
    ConfigError : there is none, one cannot be read, or two have one name for files.
    """
    wishes = [parse(text) for text in synthesis.objectives]
    slugs = [wish.slug for wish in wishes]
    if not wishes or len(set(slugs)) < len(slugs) or UNGUIDED in slugs:
        raise ConfigError(
            "it is not clear for what pictures are to be made",
            expected="objectives with different names",
            found=", ".join(synthesis.objectives) or "none",
            fix="set synthesis.objectives=[FFA-1,PPA]   (docs/synthesis.md)",
        )
    return wishes


def _check_method(guidance: GuidanceConfig, config: SynthesisConfig) -> None:
    """Refuse a scale for what no pictures are made for, and jobs for what nothing is drawn.

    Raises
    ------
    ConfigError : it is no objective of this run, or there is nothing to divide.
    """
    objectives = config.objectives
    if isinstance(guidance, RetrievalConfig) and config.shards > 1:
        raise ConfigError(
            "retrieval draws nothing that could be divided among jobs",
            expected="synthesis.shards=1",
            found=config.shards,
            fix="leave synthesis.shards and synthesis.shard out",
        )
    named = guidance.scales if isinstance(guidance, SteeredConfig) else {}
    unknown = [name for name in named if name not in objectives]
    if unknown:
        raise ConfigError(
            f"guidance.scales names no objective of this run: {', '.join(unknown)}",
            expected=", ".join(objectives),
            found=", ".join(unknown),
            fix="write it as in synthesis.objectives, or leave it out",
        )


def check_steerable(guidance: GuidanceConfig, few_steps: bool) -> None:
    """Refuse to steer on its way what is there in one to eight steps.

    Raises
    ------
    ConfigError : guidance needs a trajectory, and the generator has none to speak of.
    """
    if few_steps and isinstance(guidance, SteeredConfig):
        raise ConfigError(
            "this generator takes too few steps to be steered on its way",
            expected="guidance=noise_optimisation, which changes the start noise,"
            " or a method that steers nothing (best_of_n, captions, none)",
            found=f"guidance={guidance.name}",
            fix="set guidance=noise_optimisation",
        )


def merges(synthesis: SynthesisConfig) -> bool:
    """Whether a run puts the pictures of other jobs together, and draws none."""
    return synthesis.shards > 1 and synthesis.shard is None


def _cites(config: Any) -> Mapping[str, tuple[str, str]]:
    wanted = config.synthesis
    check_objectives(wanted)
    _check_method(config.guidance, wanted)
    check_steerable(config.guidance, config.generator.few_steps)
    cited = {f"{GUIDE}/{name}": ("encode", which) for name, which in wanted.guides.items()}
    if wanted.judge:
        cited[JUDGE] = ("encode", wanted.judge)
    if wanted.captions and isinstance(config.guidance, WordsConfig):
        cited[TOLD] = ("caption", wanted.captions)
    if merges(wanted):
        jobs = range(wanted.shards)
        cited |= {f"{SHARD}/{job}": ("synthesize", f"synthesis.shard={job}") for job in jobs}
    return cited


def leaves(config: Any) -> Mapping[str, Path]:
    """Input files of ``synthesize``, from the root config: the generator's, and directions.

    Raises
    ------
    ConfigError, MissingDataError : there is no generator, or no such direction.
    """
    drawn = isinstance(config.guidance, DenoisedConfig)
    files = dict(GENERATORS.leaves(config.generator)) if drawn else {}
    for name, path in config.synthesis.directions.items():
        if not user_path(path).is_file():
            raise MissingDataError(
                f"the direction {name} is not there", file=path, expected="FILE.npy",
                fix=f"correct synthesis.directions.{name}",
            )  # fmt: skip
        files[f"direction/{name}"] = user_path(path)
    if config.synthesis.evaluation.run and config.synthesis.shard is None:
        files |= evaluation_leaves(config.synthesis.evaluation)
    return files


def _parents(config: Any) -> tuple[str, ...]:
    told = isinstance(config.guidance, WordsConfig) and not config.synthesis.captions
    return ("prepare", "encode", "caption") if told else ("prepare", "encode")


def _label(config: Any) -> str:
    shard = config.synthesis.shard
    part = "" if shard is None else f"-{shard}of{config.synthesis.shards}"
    return f"{config.guidance.name}-{config.encoder.name}{part}"


STAGES: tuple[Stage, ...] = (
    Stage(
        name="synthesize",
        version=4,
        about="draw pictures that a fitted encoder predicts to drive a region, and judge them",
        reads=("synthesis", "guidance", "generator", "seed"),
        parents=_parents,
        cites=_cites,
        leaves="neuroattn.synthesis.registry:leaves",
        run="neuroattn.synthesis.stage:run",
        label=_label,
    ),
)
