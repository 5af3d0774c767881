"""Tables of what was drawn, from the records of pictures alone, so that shards can be joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final

import numpy as np
import pandas as pd

from neuroattn.core.errors import DataError
from neuroattn.synthesis.guidance_schemas import UNGUIDED
from neuroattn.synthesis.jobs import DONE, Record
from neuroattn.synthesis.wishes import Wish

COLUMNS: Final = (
    "file", "seed", "objective", "method", "guide_activation", "judge_activation", "rank",
    "selected", "status",
)  # fmt: skip
REGIONS: Final = ("file", "region", "guide_activation", "judge_activation")


def image_table(records: Sequence[Record], wishes: Sequence[Wish], share: float) -> pd.DataFrame:
    """A row for each picture and objective (`COLUMNS`): those drawn for it, then the unguided.

    ``rank`` counts from 1 by the guide within objective and method; ``selected`` marks the
    highest ``share`` of all that were drawn, failed ones included. Failed pictures have neither.
    """
    parts = []
    for wish in wishes:
        for guided in (True, False):
            rows = [
                _row(record, wish)
                for record in records
                if (record["method"] != UNGUIDED) is guided
                and record["objective"] in (wish.text, None)
            ]
            parts.append(ranked(pd.DataFrame(rows, columns=list(COLUMNS)), share))
    drawn = [part for part in parts if len(part)]  # a job may own no chunk
    return pd.concat(drawn, ignore_index=True) if drawn else parts[0]


def _row(record: Record, wish: Wish) -> dict[str, Any]:
    row = {"file": record["file"] or None, "seed": record["seed"], "objective": wish.text}
    values = {f"{who}_activation": _value(record, who, wish.text) for who in ("guide", "judge")}
    return {**row, "method": record["method"], **values, "status": record["status"]}


def _value(record: Record, who: str, text: str) -> float:
    found = record.get(who)
    return float(found["values"][text]) if found else np.nan


def ranked(table: pd.DataFrame, share: float) -> pd.DataFrame:
    """The table with ``rank`` and ``selected``."""
    count = ceil(share * len(table) - 1e-9)
    rank = table["guide_activation"].rank(ascending=False, method="first").astype("Int64")
    return table.assign(rank=rank, selected=(rank <= count).fillna(value=False).astype(bool))


def region_table(records: Sequence[Record]) -> pd.DataFrame:
    """Mean activation of every region for every picture, by guide and judge (`REGIONS`)."""
    rows = [
        (record["file"], region, value, (record.get("judge") or {}).get("regions", {}).get(region))
        for record in records
        if record["status"] == DONE
        for region, value in record["guide"]["regions"].items()
    ]
    return pd.DataFrame(rows, columns=list(REGIONS)).astype({"judge_activation": float})


def metrics(table: pd.DataFrame, wishes: Sequence[Wish]) -> dict[str, float]:
    """Means by objective, guided and unguided, and how many pictures failed."""
    found = {
        "images": float((table["method"] != UNGUIDED).sum()),
        "images.failed": float((table["status"] != DONE).sum()),
    }
    for wish in wishes:
        own = table[table["objective"] == wish.text]
        for name, rows in (
            ("guided", own[own["method"] != UNGUIDED]),
            ("unguided", own[own["method"] == UNGUIDED]),
        ):
            for who in ("guide", "judge"):
                values = rows[f"{who}_activation"].dropna()
                if len(values):
                    found[f"objective.{wish.slug.lower()}.{name}.{who}"] = float(values.mean())
    return found


def check_any(records: Sequence[Record], setting: str) -> None:
    """Refuse a run in which nothing guided came out.

    Raises
    ------
    DataError : every picture failed.
    """
    guided = [record for record in records if record["method"] != UNGUIDED]
    if guided and all(record["status"] != DONE for record in guided):
        raise DataError(
            "every picture failed: its gradient or its latents were no numbers",
            expected="finite gradients",
            found=str(guided[0]["problem"]),
            fix=f"lower {setting}, or compute in single precision",
        )


def passes(records: Sequence[Record]) -> Mapping[str, float]:
    """Passes through each part for each picture, averaged over the guided ones."""
    own = [record["passes"] for record in records if record["method"] != UNGUIDED]
    if not own or not own[0]:
        return {}
    return {f"passes.{name}": float(np.mean([one[name] for one in own])) for name in own[0]}
