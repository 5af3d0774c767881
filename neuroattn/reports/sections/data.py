"""Data and split: what was shown how often, who may use it, and that no image leaks."""

from __future__ import annotations

from collections import Counter

from neuroattn.reports.blocks import Block, Column, FactList, Notice, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import Fold, folds, source_share
from neuroattn.reports.wording import cell, count, plural, said, spread


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Facts of the data; with an encoder, its folds and the leak check as well."""
    facts = _facts(sources)
    sources = sources if sources.has("encode") else sources.with_ensemble()
    if not sources.has("encode"):
        return (facts,)
    split = folds(sources.folds)
    return (facts, _leak_check(split), *_sources_note(sources, split), _fold_table(sources, split))


def _facts(sources: Sources) -> FactList:
    about, trials = sources.dataset, sources.trials
    repeats = Counter(Counter(trials["image"]).values())
    sessions = trials[["subject", "session"]].drop_duplicates()
    return FactList(
        (
            ("Images", f"{count(about.get('n_images'))} distinct"),
            ("Trials", f"{count(len(trials))} in {plural(len(sessions), 'session')}"),
            ("Repeats of an image", _repeats(repeats)),
            ("Targets", _targets(sources)),
            ("Licence", said(about.get("licence"))),
            ("Citation", said(about.get("citation"))),
            ("Artefact", sources.name("prepare")),
        )
    )


def _repeats(repeats: Counter[int]) -> str:
    if len(repeats) > 6:
        return f"{spread(repeats)} (over all subjects)"
    return ", ".join(f"{times}\u00d7: {plural(n, 'image')}" for times, n in sorted(repeats.items()))


def _targets(sources: Sources) -> str:
    sides = Counter(said(value) for value in sources.targets["hemisphere"])
    named = ", ".join(f"{cell(side)}: {n:,}" for side, n in sorted(sides.items()) if side)
    return count(len(sources.targets)) + (f" ({named})" if named else "")


def _leak_check(split: list[Fold]) -> Notice:
    leaks = [fold for fold in split if fold.both]
    if not leaks:
        return Notice(
            "passed",
            "No image stands on both sides of any fold",
            f"Checked again for this report from folds.tsv ({plural(len(split), 'fold')}); all"
            " repeats of an image, over all subjects, share its side.",
        )
    examples = sorted(leaks[0].both)[:5]
    return Notice(
        "error",
        f"Images stand on both sides of {plural(len(leaks), 'fold')}",
        f"Fold {leaks[0].name}: {plural(len(leaks[0].both), 'image')}, for example"
        f" {', '.join(map(str, examples))}. The scores below are not valid.",
    )


def _sources_note(sources: Sources, split: list[Fold]) -> tuple[Block, ...]:
    share = source_share(sources.images, split)
    if share is None:
        return ()
    return (
        Notice(
            "note" if share.seen else "passed",
            f"{plural(share.sources, 'source')} behind {plural(len(sources.images), 'image')}",
            f"{share.seen:,} of {share.test_images:,} test images (summed over folds) use an"
            " original photograph or exemplar that training images use as well.",
        ),
    )


def _fold_table(sources: Sources, split: list[Fold]) -> Table:
    shown = Counter(int(image) for image in sources.trials["image"])

    def trials(images: frozenset[int]) -> str:
        return count(sum(shown[image] for image in images))

    rows = tuple(
        (
            cell(fold.name),
            count(len(fold.train)),
            trials(fold.train),
            count(len(fold.test)),
            trials(fold.test),
            count(len(fold.both)),
        )
        for fold in split
    )
    titles = ("Training images", "Training trials", "Test images", "Test trials", "On both sides")
    columns = (Column("Fold"), *(Column(title, numeric=True) for title in titles))
    return Table("Images and trials on each side of each fold.", columns, rows)
