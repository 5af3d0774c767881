"""Warnings: what a reader must know before the numbers, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import CEILINGS
from neuroattn.reports.blocks import Block, Notice
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import Floats, column, folds, source_share
from neuroattn.reports.wording import plural, score

FEWEST_TRAINING, FEWEST_TEST = 500, 50
SHARE_AT_END = 0.1
SIGNIFICANT = 0.05
PICTURES = "synthesize"  # the main set, and those beside it (`synthesize/other-1`)
SHIPPED = ("embedded", "generator")  # family and name of the generator of simulated scenes


def blocks(sources: Sources) -> tuple[Block, ...]:
    """All warnings; nothing where there is nothing to warn of."""
    return tuple(notice for check in _CHECKS for notice in check(sources))


def _warn(title: str, text: str, remedy: str, level: Any = "warning") -> Notice:
    return Notice(level, title, text, (("remedy", remedy),))


def _simulated(sources: Sources) -> Iterator[Notice]:
    if sources.simulated:
        yield _warn(
            "Simulated responses",
            "Every response behind this page was simulated; nothing was measured in a brain.",
            "Claims about brains need measured responses: name a recorded dataset.",
        )


def _leaks(sources: Sources) -> Iterator[Notice]:
    if not sources.has("encode"):
        return
    split = folds(sources.folds)
    both = sum(len(fold.both) for fold in split)
    if both:
        yield _warn(
            "Training and test images overlap",
            f"{plural(both, 'image')} (summed over folds) on both sides: the scores are not valid.",
            "Encode again with a split of neuroattn, which refuses such folds.",
            "error",
        )
    share = source_share(sources.images, split) if sources.has("prepare") else None
    if share is not None and share.seen:
        yield _warn(
            "Test images share sources with training images",
            f"{share.seen:,} of {share.test_images:,} test images (summed over folds) are made of a"
            " photograph or exemplar that training images show as well; scores say little about"
            " unseen ones.",
            "Add a split by source: dataset.split.kind=exemplars.",
        )


def _saw_test(sources: Sources) -> Iterator[Notice]:
    if not sources.has("encode") or not sources.parents["encode"].has("protocol.json"):
        return
    protocol = sources.parents["encode"].json("protocol.json")
    if protocol.get("normalise_saw_test"):
        yield _warn(
            "Z-scores saw test trials",
            "Responses were scaled within each session over all trials, test trials included.",
            "Set dataset.normalise=session_train; session_all is for comparison with papers.",
        )
    if protocol.get("selection_saw_test"):
        yield _warn(
            "The selection of targets saw test trials",
            "Targets were selected by ceilings of responses whose scale saw test trials.",
            "Set dataset.normalise=session_train.",
        )
    if protocol.get("ceiling_from") == "all trials":
        yield _warn(
            "Noise ceilings saw test trials",
            "Scores are divided by ceilings that came with the data, computed from all trials.",
            "Set dataset.ceiling.method=repeats, which takes the repeats of the test images.",
        )


def _few_images(sources: Sources) -> Iterator[Notice]:
    if not sources.has("encode"):
        return
    split = folds(sources.folds)
    train = min((len(fold.train) for fold in split), default=FEWEST_TRAINING)
    test = min((len(fold.test) for fold in split), default=FEWEST_TEST)
    if train < FEWEST_TRAINING:
        yield _warn(
            "Few training images",
            f"{plural(train, 'image')} in the smallest fold. Which readout is best then depends on"
            " what is recorded: with about as many, closed forms were ahead in one small area"
            " (macaque V4), attention in a whole simulated visual cortex.",
            "Use more sessions or more folds, and compare encoder=ridge with encoder=attention.",
        )
    if test < FEWEST_TEST:
        yield _warn(
            "Few test images",
            f"{plural(test, 'image')} in the smallest fold: r of a single target varies by about"
            f" {1 / np.sqrt(max(test - 1, 1)):.2f} from fold to fold by chance.",
            "Use fewer folds, or a larger test set.",
        )


def _undefined(sources: Sources) -> Iterator[Notice]:
    if not sources.has("encode"):
        return
    undefined = int((~np.isfinite(column(sources.scores, "r"))).sum())
    if undefined:
        yield _warn(
            "Targets without a score",
            f"{plural(undefined, 'target')} of {len(sources.scores):,}: measured responses are"
            " constant, or the target was not fitted. All means leave them out.",
            "Leave dead targets out of the dataset; a low dataset.ceiling.select fits more.",
        )
    ceiling = CEILINGS[0]
    if ceiling not in sources.scores or not np.isfinite(column(sources.scores, ceiling)).any():
        yield _warn(
            "No noise ceiling",
            "Test images have no repeats that could tell signal from noise: nobody knows how near"
            " these scores are to the best possible ones.",
            "Prepare single trials, or give supplied ceilings (dataset.ceiling.method).",
            "note",
        )


def _penalties(sources: Sources) -> Iterator[Notice]:
    if not sources.has("encode") or "alpha" not in sources.scores:
        return
    encoder = sources.parents["encode"].config.get("encoder") or {}
    alpha = column(sources.scores, "alpha")[_above_chance(sources)]
    alpha = alpha[np.isfinite(alpha)]
    for key, end in (("alpha_min", "smallest"), ("alpha_max", "largest")):
        edge = encoder.get(key)
        if not alpha.size or not isinstance(edge, int | float):
            continue
        share = float(np.isclose(alpha, edge, rtol=1e-3).mean())
        if share > SHARE_AT_END:
            yield _warn(
                "Penalties at the end of their grid",
                f"{100 * share:.0f} % of {plural(alpha.size, 'target')} above chance chose the"
                f" {end} penalty in every fold ({edge:g}); a better one may lie beyond.",
                f"{'Lower' if key == 'alpha_min' else 'Raise'} encoder.{key}.",
            )


def _above_chance(sources: Sources) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Targets that are known to carry signal, all where nothing was tested.

    Targets without signal rightly choose the largest penalty.
    """
    q: Floats = column(sources.scores, "q") if "q" in sources.scores else np.array([np.nan])
    known = np.isfinite(q)
    return q <= SIGNIFICANT if known.any() else np.ones(len(sources.scores), dtype=np.bool_)


def _code(sources: Sources) -> Iterator[Notice]:
    states = {sources.name(stage): _state(sources, stage) for stage in sources.parents}
    dirty = [name for name, state in states.items() if state.get("dirty")]
    if dirty:
        yield _warn(
            "Made with uncommitted changes",
            f"{', '.join(dirty)}: the commit that is named does not hold the code that ran.",
            "Commit, and run these stages again under another paths.root.",
        )
    commits = {str(state["commit"]) for state in states.values() if state.get("commit")}
    if len(commits) > 1:
        yield _warn(
            "Made with different versions of the code",
            f"{len(commits)} commits: " + ", ".join(sorted(name[:10] for name in commits)) + ".",
            "For a publication, run the whole chain with one commit.",
            "note",
        )


def _state(sources: Sources, stage: str) -> dict[str, Any]:
    code = sources.parents[stage].provenance.get("code")
    return dict(code) if isinstance(code, dict) else {}


def _recounted(sources: Sources) -> Iterator[Notice]:
    metrics = sources.parents["encode"].metrics if sources.has("encode") else {}
    nearest = metrics.get("split.nearest_similarity.max")
    if nearest is not None and nearest > 0.95:
        yield _warn(
            "Some test captions nearly equal training captions",
            f"The nearest pair has a similarity of {score(nearest)}.",
            "Raise the number of clusters held out, or leave these images out.",
        )


def _imagined(sources: Sources) -> Iterator[Notice]:
    metrics = sources.parents["imagery"].metrics if sources.has("imagery") else {}
    share = metrics.get("imagery.seen_in_training")
    if share:
        yield _warn(
            "The decoder was trained on pictures that are decoded from imagery",
            f"{100 * share:.0f} % of the images of these trials were among its training images: for"
            " these it may know the picture by heart, so what it finds is no evidence on new ones.",
            "Train without them (dataset.split), or give imagery.trials a set of other images.",
        )


def _drawn_from_scenes(sources: Sources) -> Iterator[Notice]:
    """Whoever names no generator gets the one that ships, whatever the dataset is."""
    if sources.simulated or not sources.has("prepare"):
        return
    made = (one for name, one in sources.parents.items() if name.startswith(PICTURES))
    if any(_generator(one) == SHIPPED for one in made):
        yield _warn(
            "Pictures drawn by a generator of simulated scenes",
            "The embedded generator knows simulated scenes alone, and these responses are to other"
            " pictures: what it draws says nothing about what a region prefers.",
            "Name a generator of photographs: generator=sd21_base generator.model=FOLDER.",
        )


def _generator(made: Artefact) -> tuple[str, str]:
    facts = made.json("generator.json").get("generator") or {}  # none where pictures were retrieved
    return str(facts.get("family")), str(facts.get("source"))


_CHECKS: tuple[Callable[[Sources], Iterator[Notice]], ...] = (
    _simulated, _drawn_from_scenes, _leaks, _recounted, _saw_test, _imagined, _few_images,
    _undefined, _penalties, _code,
)  # fmt: skip
