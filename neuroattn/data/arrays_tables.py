"""The small files of the ``arrays`` layout, read and checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from neuroattn.core.errors import DataError, SecurityError
from neuroattn.core.tables import ROI_SEPARATOR, TARGETS, TRIALS
from neuroattn.data.dataset import Description
from neuroattn.data.files import named, read_json_input
from neuroattn.data.tables import read_input_table, refuse_rows

ONLY_SUBJECT = "1"
HEMISPHERES = ("lh", "rh", "")
_REQUIRED = ("name", "species", "modality", "units", "space", "licence", "citation")


def read_description(path: Path) -> tuple[Description, dict[str, int]]:
    """Read ``dataset.yaml``; beside the description, the counts that it claims (``n_trials``…).

    Raises
    ------
    SecurityError : a tag in it asks for a Python object.
    DataError : no mapping, or a required key is missing.
    """
    content = _yaml(path)
    absent = [key for key in _REQUIRED if content.get(key) in (None, "")]
    if absent:
        raise DataError(
            f"the description of the dataset lacks {', '.join(absent)}",
            file=path,
            expected=", ".join(_REQUIRED),
            found=", ".join(map(str, content)) or "an empty file",
            fix=f"add `{absent[0]}: …` (`unknown` is an answer)",
        )
    simulated = content.get("simulated", False)
    if not isinstance(simulated, bool):
        raise DataError(
            "simulated is neither true nor false", file=path, expected="true or false",
            found=repr(simulated), fix="write `simulated: true` or remove the line",
        )  # fmt: skip
    degrees = _degrees(path, content.get("degrees"))
    keys = [e.name for e in fields(Description) if e.name not in ("simulated", "degrees")]
    words = {key: str(content.get(key, "")).strip() for key in keys}
    counts = {key: content[key] for key in content if key in ("n_images", "n_trials", "n_targets")}
    return Description(**words, simulated=simulated, degrees=degrees), counts


def _degrees(path: Path, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 180:
        raise DataError(
            "degrees is no visual angle", file=path, expected="a number above 0 and below 180",
            found=repr(value), fix="write `degrees: 8.4`, or remove the line",
        )  # fmt: skip
    return float(value)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.constructor.ConstructorError as error:
        raise SecurityError(
            "the description asks for a Python object",
            file=path,
            expected="plain values",
            found=error.problem,
            fix="remove the tags that begin with !!python",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(
            "the description is not valid YAML", file=path, expected="`key: value` lines, UTF-8",
            found=error, fix="correct it there; put values with a colon in quotes",
        ) from error  # fmt: skip
    if not isinstance(content, dict):
        raise DataError(
            "the description is not a mapping", file=path, expected="`key: value` lines",
            found=type(content).__name__, fix="write `name: …`, `species: …` and so on",
        )  # fmt: skip
    return content


def check_counts(claimed: dict[str, int], found: dict[str, int], path: Path) -> None:
    """Compare the counts in ``dataset.yaml`` with what is there: a copy may have lost half.

    Raises
    ------
    DataError : they differ.
    """
    for key, count in claimed.items():
        if count != found[key]:
            raise DataError(
                f"{key} is not what the description says",
                file=path,
                expected=f"{key}: {count}",
                found=found[key],
                fix=f"copy the dataset again, or correct {key}",
            )


def read_trials(
    path: Path, n_rows: int, responses: Path, pictures: Collection[int]
) -> pd.DataFrame:
    """Read ``trials.tsv``: the columns of `TRIALS`, one row per row of responses.

    Raises
    ------
    DataError : see the messages.
    """
    trials = read_input_table(
        path,
        integers=("trial", "image", "session", "repeat"),
        optional_integers=("run",),
        optional_text=("subject",),
    )
    trials["subject"] = trials["subject"].replace("", ONLY_SUBJECT)
    if len(trials) != n_rows or n_rows == 0:
        raise DataError(
            "responses and trials differ in length",
            file=responses,
            expected=f"{len(trials)} rows, one per trial in {path.name} (and one at least)",
            found=f"{n_rows} rows",
            fix=f"write {responses.name} with trials as rows and targets as columns, "
            f"or correct {path.name}",
        )
    _check_order(trials, path)
    _check_images(trials, path, pictures)
    _check_repeats(trials, path)
    return trials[list(TRIALS)]


def _check_order(trials: pd.DataFrame, path: Path) -> None:
    wrong = np.flatnonzero(trials["trial"].to_numpy() != np.arange(len(trials)))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            "the column trial does not count the rows of responses",
            file=path,
            expected=f"0 to {len(trials) - 1} in order",
            found=f"{trials['trial'].iloc[row]} in line {row + 2}, where {row} is due",
            fix="sort the table as the responses are, and number trial from 0",
        )


def _check_images(trials: pd.DataFrame, path: Path, pictures: Collection[int]) -> None:
    shown = set(trials["image"].tolist())
    absent = sorted(shown - set(pictures))
    if absent:
        raise DataError(
            "images without a picture",
            file=path,
            expected=f"a picture for each of {len(shown)} images",
            found=f"no picture of image {named(absent)}",
            fix="add these pictures, or correct the column image",
        )


def _check_repeats(trials: pd.DataFrame, path: Path) -> None:
    keys = ["image", "repeat", "subject"]
    again = trials.duplicated(keys)
    if again.any():
        row = int(again.to_numpy().argmax())
        image, repeat, subject = trials[keys].iloc[row]
        raise DataError(
            "two trials have one image, repeat and subject",
            file=path,
            expected="each repeat of an image once per subject",
            found=f"image {image}, repeat {repeat}, subject {subject} again in line {row + 2} "
            f"({int(again.sum())} such lines)",
            fix="number the repeats of an image within a subject from 1, as they were shown",
        )


def read_targets(path: Path, n_targets: int, subject: str) -> pd.DataFrame:
    """Read ``rois.tsv`` into one row per column of the responses, with the columns of `TARGETS`.

    A target on several rows is in several ROIs; one on no row is in none.

    Raises
    ------
    DataError : an unknown target, hemisphere or ROI name; rows of a target that disagree.
    """
    rows = read_input_table(
        path,
        integers=("target",),
        text=("roi", "hemisphere"),
        optional_integers=("vertex",),
    )
    _check_rois(rows, path, n_targets)
    hemisphere, vertex = _one_value(rows, "hemisphere", path), _one_value(rows, "vertex", path)
    rois: dict[int, list[str]] = {}
    for target, roi in zip(rows["target"], rows["roi"], strict=True):
        members = rois.setdefault(target, [])
        if roi and roi not in members:
            members.append(roi)
    each = range(n_targets)
    columns = {
        "target": np.arange(n_targets),
        "subject": subject,
        "hemisphere": pd.Series([hemisphere.get(target, "") for target in each], dtype=str),
        "vertex": pd.array([vertex.get(target, pd.NA) for target in each], dtype="Int64"),
        "rois": pd.Series([ROI_SEPARATOR.join(rois.get(t, ())) for t in each], dtype=str),
    }
    return pd.DataFrame(columns)[list(TARGETS)]


def _check_rois(rows: pd.DataFrame, path: Path, n_targets: int) -> None:
    refuse_rows(
        rows["target"],
        ~rows["target"].between(0, n_targets - 1),
        path,
        str,
        problem="a target that the responses do not have",
        expected=f"targets 0 to {n_targets - 1}, the columns of the responses",
        fix="correct the target",
    )
    refuse_rows(
        rows["hemisphere"],
        ~rows["hemisphere"].isin(HEMISPHERES),
        path,
        repr,
        problem="an unknown hemisphere",
        expected="lh, rh or n/a",
        fix="write lh, rh or n/a",
    )
    refuse_rows(
        rows["roi"],
        rows["roi"].str.contains(ROI_SEPARATOR, regex=False),
        path,
        repr,
        problem=f"the name of a ROI contains {ROI_SEPARATOR}",
        expected="one ROI per row; a target may stand on several rows",
        fix="give each ROI a row of its own",
    )


def _one_value(rows: pd.DataFrame, name: str, path: Path) -> dict[int, Any]:
    """The value of a column for each target that states one."""
    stated = rows[rows[name].notna() & rows[name].astype(str).ne("")]
    pairs = stated[["target", name]].drop_duplicates()
    twice = pairs["target"][pairs["target"].duplicated()]
    if len(twice):
        values = pairs.loc[pairs["target"] == twice.iloc[0], name]
        raise DataError(
            f"a target has two values of {name}",
            file=path,
            expected=f"one {name} per target",
            found=f"target {twice.iloc[0]}: {named(values)}",
            fix=f"correct {name} on the rows of this target",
        )
    return dict(zip(pairs["target"], pairs[name], strict=True))


def read_texts(
    path: Path, pictures: Collection[int], what: str = "captions"
) -> dict[str, list[str]]:
    """Read ``captions.json`` or ``categories.json``: image id as text -> texts.

    Raises
    ------
    DataError : another form, or an image that does not exist.
    """
    content = read_json_input(path)
    if not isinstance(content, dict):
        raise _text_form(path, what, type(content).__name__)
    for image, texts in content.items():
        good = isinstance(texts, list) and all(isinstance(text, str) and text for text in texts)
        if not good or not image.isdigit() or str(int(image)) != image:
            raise _text_form(path, what, f"{image!r}: {texts!r}"[:80])
    unknown = sorted(set(map(int, content)) - set(pictures))
    if unknown:
        raise DataError(
            f"{what} of images that do not exist",
            file=path,
            expected="images with a picture",
            found=f"images {named(unknown)}",
            fix="correct the image numbers",
        )
    return content


def _text_form(path: Path, what: str, found: str) -> DataError:
    one = {"captions": "a caption", "categories": "a name"}[what]
    return DataError(
        f"the {what} have another form",
        file=path,
        expected=f'{{"0": ["{one}", …], "1": […]}} with image numbers as keys',
        found=found,
        fix="write them in that form",
    )


def read_sources(path: Path, pictures: Collection[int]) -> dict[int, str]:
    """Read ``images_sources.tsv``: image id -> photograph it was cut from.

    Raises
    ------
    DataError : an image twice, or one that does not exist.
    """
    rows = read_input_table(path, integers=("image",), text=("source",))
    for bad, problem in (
        (rows["image"].duplicated(), "an image has two sources"),
        (~rows["image"].isin(list(pictures)), "the source of an image that does not exist"),
    ):
        refuse_rows(
            rows["image"], bad, path, str,
            problem=problem, expected="each image with a picture once", fix="correct the image",
        )  # fmt: skip
    return dict(zip(rows["image"].tolist(), rows["source"].tolist(), strict=True))
