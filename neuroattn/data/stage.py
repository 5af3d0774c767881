"""Stage ``prepare``: any dataset in one checked form, with no split and nothing fitted.

Responses are streamed in blocks, a session at a time, so memory grows neither with trials nor
with sessions. Raw values come back from either form of the store (`neuroattn.data.store`). A
killed run goes on at the first session that is not finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from neuroattn.core.atomic import ensure_folder
from neuroattn.core.errors import DataError
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.core.tables import IMAGES, TARGETS, TRIALS
from neuroattn.data.dataset import Dataset, ResponseBlock, Splits, open_dataset
from neuroattn.data.grid import write_grid
from neuroattn.data.localisers import write_localisers
from neuroattn.data.planted import write_truth
from neuroattn.data.prepared import NCSNR
from neuroattn.data.registry import DatasetConfig, StoreForm
from neuroattn.data.store import ResponseStoreWriter, session_codes
from neuroattn.data.subject_store import SubjectWriter


def run(context: StageContext) -> StageResult:
    """Write the tables, the responses and the description of ``config.dataset``.

    Raises
    ------
    DataError : a response is NaN or infinite, or the reader breaks its contract.
    """
    config = context.section("dataset", DatasetConfig)
    dataset = open_dataset(config)
    parts: Mapping[str, Dataset] = getattr(dataset, "parts", {})
    for subject, part in parts.items() or (("", dataset),):
        _write_responses(context, part, config.store, subject)
    _write_ncsnr(context, dataset)
    write_grid(context.out, dataset)
    write_truth(context.out, dataset)
    write_localisers(context.out, dataset)
    images = _with_digests(context, dataset)
    context.out.table("trials.tsv", dataset.trials[list(TRIALS)])
    context.out.table("images.tsv", images[list(IMAGES)])
    context.out.table("targets.tsv", dataset.targets[list(TARGETS)])
    context.out.json("splits.json", shown_splits(dataset.splits, images["image"].tolist()))
    shown = set(map(str, images["image"]))
    context.out.json("captions.json", {i: c for i, c in dataset.captions.items() if i in shown})
    categories = getattr(dataset, "categories", {})  # readers of plug-ins may know none
    context.out.json("categories.json", {i: c for i, c in categories.items() if i in shown})
    counts = {
        "n_images": len(images),
        "n_trials": len(dataset.trials),
        "n_targets": len(dataset.targets),
        "n_subjects": dataset.trials["subject"].nunique(),
    }
    about = asdict(dataset.description)
    if about["degrees"] is None:
        del about["degrees"]
    context.out.json("dataset.json", {**about, **counts})
    # Subjects with targets of their own see an image each for themselves.
    shown_to = ["subject", "image"] if parts else ["image"]
    repeats = dataset.trials.groupby(shown_to).size()
    spread = {"repeats.min": float(repeats.min()), "repeats.max": float(repeats.max())}
    return StageResult(
        metrics={**{key: float(count) for key, count in counts.items()}, **spread},
        methods=methods(dataset, counts, repeats, config.store),
    )


def _with_digests(context: StageContext, dataset: Dataset) -> pd.DataFrame:
    digests = []
    with context.progress("picture digests", len(dataset.images)) as progress:
        for image in dataset.images["image"]:
            digests.append(dataset.stimuli.digest(int(image)))
            progress.advance()
    return dataset.images.assign(sha256=digests)


def shown_splits(splits: Splits, shown: list[int]) -> Splits:
    """``splits`` over images that were shown to the subjects kept."""
    kept = set(shown)
    return {
        name: {side: [image for image in images if image in kept] for side, images in sides.items()}
        for name, sides in splits.items()
    }


def _write_responses(
    context: StageContext, dataset: Dataset, form: StoreForm, subject: str
) -> None:
    """Write the store of ``dataset``; that of one ``subject`` of several has its name."""
    shape = (len(dataset.trials), len(dataset.targets))
    codes = session_codes(dataset.trials)
    out = SubjectWriter(context.out, subject) if subject else context.out
    if isinstance(out, SubjectWriter) and out.is_finished:  # before this run was killed
        return
    work = ensure_folder(context.out.work / subject)
    writer, faults = ResponseStoreWriter(work, form, codes, shape[1]), _Faults()
    title = f"responses of {subject}" if subject else "responses"
    with closing(writer), context.progress(title, shape[0]) as progress:
        progress.advance(writer.row)
        first = writer.row
        for rows, values in in_order(_blocks_from(dataset, first), shape, first):
            faults.look(rows, values)
            if not faults.count:  # what holds a fault is never finished
                writer.add(values)
            progress.advance(len(values))
        faults.refuse(dataset)
        about = dataset.description
        writer.finish(out, {"units": about.units, "simulated": about.simulated})


def _blocks_from(dataset: Dataset, first: int) -> Iterator[ResponseBlock]:
    """Blocks of the rows from ``first`` on; readers that can begin there read no row before."""
    if first == len(dataset.trials):
        return
    begin = getattr(dataset, "response_blocks_from", None)
    if begin is not None:
        yield from begin(first)
        return
    for rows, values in dataset.response_blocks():
        if rows.stop > first:
            start = max(rows.start, first)
            yield slice(start, rows.stop), values[start - rows.start :]


def _write_ncsnr(context: StageContext, dataset: Dataset) -> None:
    supplied = getattr(dataset, "supplied_ncsnr", None)
    if supplied is not None:
        frame = pd.DataFrame({"target": dataset.targets["target"], "ncsnr": supplied})
        context.out.table(NCSNR, frame.astype({"ncsnr": np.float64}))


def in_order(
    blocks: Iterator[ResponseBlock], shape: tuple[int, int], first: int = 0
) -> Iterator[ResponseBlock]:
    """Pass ``blocks`` on while they cover (trials, targets) from row ``first``, in float32.

    Raises
    ------
    DataError : they do not, which is a fault of the reader.
    """
    done = first
    for rows, values in blocks:
        expected = (rows.stop - rows.start, shape[1])
        if rows.start != done or values.shape != expected or values.dtype != np.float32:
            raise _broken(
                f"rows {done} onward, {shape[1]} targets, float32",
                f"{rows}, {values.shape}, {values.dtype}",
            )
        done = rows.stop
        yield rows, values
    if done != shape[0]:
        raise _broken(f"{shape[0]} rows", f"{done} rows")


def _broken(expected: str, found: str) -> DataError:
    return DataError(
        "the reader of this dataset yields other blocks than its tables say",
        expected=expected,
        found=found,
        fix="report this as a fault of the dataset's reader",
    )


@dataclass
class _Faults:
    """Counts responses that are no numbers over all blocks, and remembers the first."""

    count: int = 0
    first: tuple[int, int, float] | None = None

    def look(self, rows: slice, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
        bad = ~np.isfinite(values)
        if not bad.any():
            return
        self.count += int(bad.sum())
        if self.first is None:
            row, target = np.argwhere(bad)[0]
            self.first = (rows.start + int(row), int(target), float(values[row, target]))

    def refuse(self, dataset: Dataset) -> None:
        if self.first is None:
            return
        row, target, value = self.first
        file, place = dataset.response_origin(row)
        raise DataError(
            "responses that are no numbers",
            file=file,
            expected="finite values in the range of float32",
            found=f"{value} at {place}, target {target} (the first of {self.count})",
            fix="leave these targets or trials out of all files; do not fill them in",
        )


def methods(
    dataset: Dataset, counts: dict[str, int], repeats: pd.Series[int], form: StoreForm
) -> str:
    """The sentence for the Methods text."""
    about = dataset.description
    low, high = int(repeats.min()), int(repeats.max())
    times = f"{low}" if low == high else f"{low} to {high}"
    kind = "Simulated responses" if about.simulated else "Responses"
    units = f", in {about.units}" if about.units else ""
    return (
        f"{kind} came from {about.name} ({about.species}, {about.modality}{units}): "
        f"{_count(counts['n_targets'], 'target')} of {_count(counts['n_subjects'], 'subject')}, "
        f"{_count(counts['n_trials'], 'trial')} of {_count(counts['n_images'], 'image')}, "
        f"each shown {times} time{'' if times == '1' else 's'} ({about.citation}){_kept(form)}."
    )


def _kept(form: StoreForm) -> str:
    half = "; they were kept as z-scores of the session in half precision, with its mean and scale"
    return half if form is StoreForm.float16 else ""


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
