"""The stage ``synthesize``: pictures that a fitted encoder predicts to drive what is asked for.

A finished chunk stays in the writer's work folder, so a killed run repeats only the chunk that
it was in. Every picture has a record beside it from which the tables are made; several jobs may
divide the chunks, and a further run joins what they drew without drawing anything itself.

Payload: ``images/`` (PNG and JSON), ``images.tsv``, ``regions.tsv``, ``generator.json``, and the
evaluation's (`assess`).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.config import science_values, walk
from neuroattn.core.fingerprint import Fingerprint
from neuroattn.core.resources import user_path
from neuroattn.core.sections import RuntimeConfig
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.features.backbones import choose_device, exact_kernels
from neuroattn.generators.contract import Generator
from neuroattn.generators.registry import GENERATORS
from neuroattn.synthesis import outcome
from neuroattn.synthesis.assess import Panel, assess
from neuroattn.synthesis.drawing import Drawn, Method, Scene, Value
from neuroattn.synthesis.guidance_schemas import (
    UNGUIDED,
    DenoisedConfig,
    GuidanceConfig,
    RetrievalConfig,
    SteeredConfig,
    WordsConfig,
)
from neuroattn.synthesis.guide import Source, read_source
from neuroattn.synthesis.jobs import (
    DONE,
    FAILED,
    Chunk,
    Record,
    Set,
    chunks,
    eight_bits,
    finished,
    gradient_facts,
    keep,
    memory_named,
    mine,
    place,
)
from neuroattn.synthesis.judged import Opinion
from neuroattn.synthesis.registry import (
    GUIDANCE,
    GUIDE,
    JUDGE,
    SHARD,
    SynthesisConfig,
    check_objectives,
    check_steerable,
    merges,
)
from neuroattn.synthesis.retrieval import best_pictures
from neuroattn.synthesis.samples import write_samples
from neuroattn.synthesis.told import TABLE as TOLD
from neuroattn.synthesis.told import Prompts, prompts, told_table
from neuroattn.synthesis.wishes import Wish, parse

log = logging.getLogger("neuroattn.synthesis")

IMAGES, REGIONS, GENERATOR = "images.tsv", "regions.tsv", "generator.json"
FOLDER = "images"


def run(context: StageContext) -> StageResult:
    """Draw, or join what several jobs drew, and write the tables.

    Raises
    ------
    ConfigError, DataError, ArtefactError, StorageError : what is wrong, and the remedy.
    """
    config = context.section("synthesis", SynthesisConfig)
    wishes = check_objectives(config)
    job = Job(context, config, wishes)
    if merges(config):
        records, facts = _joined(context, config)
    else:
        records, facts = job.draw(), job.facts()
    outcome.check_any(records, "guidance.scale")
    table = outcome.image_table(records, wishes, config.select)
    context.out.table(IMAGES, table)
    regions = outcome.region_table(records)
    context.out.table(REGIONS, regions)
    context.out.json(GENERATOR, facts)
    told = told_table(records)
    if len(told):
        context.out.table(TOLD, told)
    figures = outcome.metrics(table, wishes) | facts["figures"] | outcome.passes(records)
    if config.evaluation.run and config.shard is None:
        if facts["generator"] and config.evaluation.samples:
            write_samples(context, job.generator, job.device)
        panel = Panel(job.guide, job.judge)
        figures |= assess(
            context, config.evaluation, wishes, panel,
            table=table, regions=regions, device=job.device,
        )  # fmt: skip
    return StageResult(metrics=figures, methods=_methods(context, config, facts))


@dataclass(frozen=True, eq=False)
class Job:
    """Everything that one run draws with; what is heavy is loaded when it is first needed."""

    context: StageContext
    config: SynthesisConfig
    wishes: list[Wish]

    @cached_property
    def device(self) -> str:
        """Where it computes."""
        runtime = self.context.section("runtime", RuntimeConfig)
        return str(choose_device(runtime.device.value))

    @cached_property
    def guidance(self) -> Any:
        """The method's keys."""
        return self.context.section("guidance", GuidanceConfig)

    @cached_property
    def guide(self) -> Opinion:
        """The encoders that guide, with the objectives."""
        parents = self.context.parents
        further = [parents[name] for name in sorted(parents) if name.startswith(f"{GUIDE}/")]
        sources = [self._source(one, self.config.fold) for one in (parents["encode"], *further)]
        return Opinion.of(sources, self.wishes)

    @cached_property
    def judge(self) -> Opinion | None:
        """The encoder that scores alone, if there is one."""
        if JUDGE not in self.context.parents:
            return None
        source = self._source(self.context.parents[JUDGE], self.config.judge_fold)
        return Opinion.like(source, self.guide, self.wishes)

    @cached_property
    def generator(self) -> Generator:
        """The generator; a folder says only when it is opened whether it takes few steps."""
        config = self.context.config.generator
        made: Generator = GENERATORS.load(config.name)(config, choose_device(self.device))
        check_steerable(self.guidance, made.identity.few_steps)
        return made

    def method(self, objective: str | None) -> Method:
        """The method for an objective; for none of them, what it is compared with."""
        steered = isinstance(self.guidance, SteeredConfig) and objective is not None
        config = self.guidance.of(objective) if steered else self.guidance
        made: Method = GUIDANCE.load(config.name)(config)
        return made if objective is not None else made.unguided()

    @cached_property
    def told(self) -> dict[str, Prompts]:
        """Words by objective; none but for methods that tell some."""
        if not isinstance(self.guidance, WordsConfig):
            return {}
        first = self.guide.sources[0].facts
        objectives = self.guide.objectives[0]
        return prompts(self.context.parents, objectives, first.targets, self.guidance)

    @cached_property
    def recipe(self) -> str:
        """Digest of all that decides a chunk but its seeds."""
        root, parents = self.context.config, self.context.parents
        payload = {
            "science": science_values(walk(root), ("guidance", "generator", "synthesis"), _APART),
            "parents": {
                name: one.fingerprint for name, one in parents.items() if not name.startswith(SHARD)
            },
            "generator": dict(self.generator.identity.digests) if self._draws else {},
        }
        return Fingerprint(payload).digest

    @property
    def _draws(self) -> bool:
        return isinstance(self.guidance, DenoisedConfig)

    def _source(self, artefact: Artefact, fold: int | None) -> Source:
        directions = {name: user_path(file) for name, file in self.config.directions.items()}
        return read_source(artefact, fold, self.device, directions)

    def draw(self) -> list[Record]:
        """Records of all pictures of this job, which are in the payload afterwards."""
        if isinstance(self.guidance, RetrievalConfig):
            return self._retrieved()
        sets = [Set(self.guidance.name, wish.text, wish.slug) for wish in self.wishes]
        if self.config.unguided or self.guidance.name == UNGUIDED:
            sets.append(Set(UNGUIDED, None, ""))
        if self.guidance.name == UNGUIDED:
            sets = sets[-1:]
        own = mine(chunks(self.config), self.config)
        records: list[Record] = []
        with self.context.progress("pictures", len(sets) * sum(len(c.seeds) for c in own)) as bar:
            for number, one in enumerate(sets):
                for chunk in own:
                    records += self._chunk(one, number, chunk)
                    bar.advance(len(chunk.seeds))
        for record in records:
            self._adopt(record)
        return records

    def _chunk(self, one: Set, number: int, chunk: Chunk) -> list[Record]:
        """Records of a chunk, drawn unless it is there as a whole."""
        folder = place(self.context.out.work, one, chunk)
        kept = finished(folder, one, chunk, self.recipe)
        if kept is not None:
            return kept
        value = self.guide.guide(number if one.objective is not None else 0)
        scene = self._scene(one, value, chunk)
        with memory_named(len(chunk.seeds)), exact_kernels():
            drawn = self.method(one.objective).draw(scene, chunk.seeds)
            pictures = eight_bits(drawn.pixels)
            records = self._records(one, chunk, drawn, pictures)
        passes = {name: float(count) for name, count in asdict(scene.account).items()}
        records = [record | {"passes": passes} for record in records]
        return keep(folder, one, records, list(pictures))

    def _scene(self, one: Set, value: Value, chunk: Chunk) -> Scene:
        """What is drawn with: a caption for each seed, or one text for all."""
        told = self.told.get(one.objective or "")
        if told is None:
            text, guidance = self.config.text, self.config.text_guidance
            return Scene(self.generator, value, text=text, guidance=guidance)
        captions = [str(told(seed)["caption"]) for seed in chunk.seeds]
        return Scene(self.generator, value, text=captions, guidance=self.guidance.weight)

    def _records(
        self, one: Set, chunk: Chunk, drawn: Drawn, pictures: NDArray[np.uint8]
    ) -> list[Record]:
        good = (~drawn.failed).cpu().numpy()
        said = self._opinions(pictures[good])
        records = []
        for row, seed in enumerate(chunk.seeds):
            record = self._record(one, seed, chunk.seeds)
            record["gradient"] = gradient_facts(drawn.norms[row])
            if good[row]:
                record |= {"status": DONE, "problem": "", **said[int(good[:row].sum())]}
            else:
                log.warning("the picture of seed %d failed: its gradient is no number", seed)
                record |= {"file": "", "status": FAILED, "problem": "numbers that are not finite"}
            records.append(record)
        return records

    def _record(self, one: Set, seed: int, seeds: Sequence[int]) -> Record:
        record = {
            "file": f"{FOLDER}/{one.file(seed)}.png", "seed": seed, "method": one.method,
            "objective": one.objective, "chunk": list(seeds), "recipe": self.recipe,
        }  # fmt: skip
        told = self.told.get(one.objective or "")
        return record if told is None else record | {"told": told(seed)}

    def _opinions(self, pictures: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """What guide and judge say of pictures as they are kept."""
        guide = self.guide(pictures)
        judge = self.judge(pictures) if self.judge else [None] * len(guide)
        return [{"guide": one, "judge": other} for one, other in zip(guide, judge, strict=True)]

    def _retrieved(self) -> list[Record]:
        """The test pictures that the guide puts highest, for each objective."""
        records: list[Record] = []
        for number, wish in enumerate(self.wishes):
            one = Set(self.guidance.name, wish.text, wish.slug)
            for image, picture in best_pictures(
                self.context, self.guide, number, self.config.images
            ):
                record = self._record(one, image, [image])
                record |= {"gradient": {}, "passes": {}, "status": DONE, "problem": ""}
                record |= self._opinions(picture[None])[0]
                folder = place(self.context.out.work, one, Chunk(image, (image,)))
                keep(folder, one, [record], [picture])
                records.append(record)
                self._adopt(record)
        return records

    def _adopt(self, record: Record) -> None:
        """Put a picture and its record into the payload."""
        one = Set(record["method"], record["objective"], _slug(record["objective"]))
        number = record["chunk"][0] // self.config.chunk
        if record["method"] == RetrievalConfig.name:
            number = record["seed"]
        folder = place(self.context.out.work, one, Chunk(number, tuple(record["chunk"])))
        name = one.file(record["seed"])
        endings = (".png", ".json") if record["status"] == DONE else (".json",)
        for ending in endings:
            with self.context.out.file(f"{FOLDER}/{name}{ending}") as target:
                shutil.copyfile(folder / f"{name}{ending}", target)

    def facts(self) -> dict[str, Any]:
        """Which generator, guides and judge, for the report."""
        figures: dict[str, float] = {}
        if self.judge is not None:
            both = self.judge.learned(self.config.judge_fold) & self.guide.learned(self.config.fold)
            figures["judge.shared_training_images"] = float(len(both))
        return {
            "generator": self._identity() if self._draws else None,
            "guides": [one.artefact.label for one in self.guide.sources],
            "judge": None if self.judge is None else self.judge.sources[0].artefact.label,
            "recipe": self.recipe,
            "figures": figures,
        }

    def _identity(self) -> dict[str, Any]:
        """Which generator, without the place where this machine keeps it."""
        record = self.generator.identity.record()
        return record | {"source": Path(record["source"]).name}


# Keys that decide which pictures a job draws, and not what they look like.
_APART = tuple(
    f"synthesis.{name}"
    for name in ("images", "first_seed", "unguided", "select", "shards", "shard", "evaluation")
)


def _slug(objective: str | None) -> str:
    return "" if objective is None else parse(objective).slug


def _joined(context: StageContext, config: SynthesisConfig) -> tuple[list[Record], dict[str, Any]]:
    """Records of all jobs in the order in which one job would have drawn them, and their facts."""
    parts = [context.parents[f"{SHARD}/{job}"] for job in range(config.shards)]
    records: list[Record] = []
    for part in parts:
        names = [name for name in part.files if name.startswith(f"{FOLDER}/")]
        for name in names:
            with context.out.file(name) as target:
                shutil.copyfile(part.path(name), target)
        records += [part.json(name) for name in names if name.endswith(".json")]
    order = {text: place for place, text in enumerate(config.objectives)}
    records.sort(key=lambda one: (order.get(one["objective"], len(order)), one["seed"]))
    return records, parts[0].json(GENERATOR)


def _methods(context: StageContext, config: SynthesisConfig, facts: dict[str, Any]) -> str:
    guidance, what = context.section("guidance", GuidanceConfig), "test pictures were retrieved"
    if facts["generator"]:
        name = facts["generator"]["name"]
        what = f"pictures were drawn by the generator {name} with guidance {guidance.name}"
    judged = f" They were judged by {facts['judge']}." if facts["judge"] else ""
    return (
        f"For each of {len(config.objectives)} objectives {config.images} {what}, by the predicted"
        f" activation of {', '.join(facts['guides'])}; the highest {100 * config.select:g} % by the"
        f" guide are marked as selected, of all that were drawn.{judged}"
    )


def payload_images(artefact: Artefact) -> list[Path]:
    """Pictures of a finished artefact, verified."""
    return [artefact.path(name) for name in sorted(artefact.files) if name.endswith(".png")]
