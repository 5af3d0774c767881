"""The page of experiments, written from the experiment files themselves.

``python -m neuroattn.cli.experiments`` prints ``docs/experiments.md``; a test compares the two.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from neuroattn.pipeline.published import experiments, told

_HEAD = """\
# Experiments

Written by `python -m neuroattn.cli.experiments` from the files in `conf/experiment/`; do not edit
by hand.

One file for each published result: its settings, where they come from, what ours does otherwise,
and which figures to expect. `neuroattn reproduce NAME` runs the chain and writes the figures beside
what to expect into a small JSON file, whose path is the last line on stdout: figures, verdicts,
versions, fingerprints, digests, the machine without its name, no path. A lab with the data can
send it back. `--plan` shows what would run, what it costs and what is expected, and runs nothing.

How a figure is known: **read** in a public source; **second_hand**, in somebody else's account of
it; **measured** by us with this code; **unread** where the source has a figure that we have not
seen: there the table says *not known*, and the verdict with it. A verdict is *within* or *outside*
the tolerance; *other data* where responses are simulated and the figure is of recordings;
*other subject*; *not measured* where a run has no such figure. `not as shipped` lists every science
key that was set differently.

None of the experiments on NSD has been run by us on NSD.
"""


def page() -> str:
    """The whole page, in Markdown."""
    lines = [_HEAD, *_overview()]
    for name in experiments():
        if about := told(name):
            lines += _section(name, about)
    return "\n".join(lines)


def _overview() -> Iterator[str]:
    yield "| experiment | what it fits | source | parameters |\n|---|---|---|---|"
    for name in experiments():
        about = told(name)
        if about:
            count = f"{about['parameters']:,}" if about.get("parameters") else "-"
            yield f"| [`{name}`](#{name}) | {about['about']} | {about['source']} | {count} |"
    yield ""


def _section(name: str, about: Mapping[str, Any]) -> Iterator[str]:
    needs = about.get("needs", [])
    lines = [_command(name), " ".join(shlex.quote(need["override"]) for need in needs)]
    yield f"## {name}\n\n```sh\n" + " \\\n    ".join(filter(None, lines)) + "\n```\n"
    yield f"- **Data.** {about.get('data', 'as above')}"
    if needs:
        told_of = "; ".join(f"`{need['override']}`: {need['about']}" for need in needs)
        yield f"- **Needs.** {told_of}"
    memory = about.get("memory_gb")
    held = f"; {memory:g} GB of weights, gradients and moments" if memory else ""
    yield f"- **Cost.** {about['cost'].strip()}{held}\n"
    yield "| figure | subject | expected | certainty | source |\n|---|---|---|---|---|"
    for row in about["expected"]:
        cells = (f"`{row['figure']}`", row.get("subject", ""), _value(row), _certainty(row))
        yield f"| {' | '.join(cells)} | {row['source']}{_note(row)} |"
    yield ""


def _command(name: str) -> str:
    """The command up to the dataset, with a subject where the file's own command has one."""
    subject = " 'dataset.subjects=[SUBJECT]'"
    is_of_one = "dataset.subjects=" in experiments()[name].read_text()
    return f"neuroattn reproduce {name} dataset.root=DIR{subject if is_of_one else ''}"


def _value(row: Mapping[str, Any]) -> str:
    if row.get("value") is None:
        return "not known"
    if row.get("upper") is not None:
        return f"{row['value']:g} to {row['upper']:g}"
    return f"{row['value']:g} ± {row.get('tolerance', 0):g}"


def _certainty(row: Mapping[str, Any]) -> str:
    return str(row.get("certainty", "unread"))


def _note(row: Mapping[str, Any]) -> str:
    return f"; {row['note']}" if row.get("note") else ""


if __name__ == "__main__":
    print(page())
