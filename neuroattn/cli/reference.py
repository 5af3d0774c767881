"""The reference of every configuration key, written from the schemas themselves.

``python -m neuroattn.cli.reference`` prints ``docs/config.md``; a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass

from neuroattn.core.config import Key, walk
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.stages import catalogue

_HEAD = """\
# Configuration keys

Written by `python -m neuroattn.cli.reference` from the schemas; do not edit by hand.

Every key works on the command line of every stage, as in `neuroattn encode seed=3
encoder.alpha_max=1e8`; `neuroattn <stage> --cfg job` prints all of them with their values.
**Science** keys can change a result: one that differs from its default enters the fingerprint.
**Execution** keys (device, workers, paths, logging) never do. Defaults below are those of the
schemas; a file in `conf/` may set another value and says why in a comment.
"""


def reference() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_HEAD, *_root(), *_groups()])


def _root() -> Iterator[str]:
    registries = catalogue().registries
    alone: list[Key] = []
    sections: dict[str, list[Key]] = {}
    for key in walk(RootConfig()):
        group = key.path.partition(".")[0]
        if group in registries:
            continue
        (sections.setdefault(group, []) if "." in key.path else alone).append(key)
    yield from _table("Top level", "Keys of every run.", alone)
    docs = {entry.name: entry.metadata.get("doc", "") for entry in fields(RootConfig)}
    for name, keys in sections.items():
        yield from _table(f"`{name}`", docs[name], keys)


def _groups() -> Iterator[str]:
    for group, registry in catalogue().registries.items():
        for name, entry in sorted(registry.items()):
            assert is_dataclass(entry.schema)
            doc = (entry.schema.__doc__ or "").strip().splitlines()[0]
            keys = [key for key in walk(entry.schema(), f"{group}.") if not key.is_name]
            yield from _table(f"`{group}={name}`", doc, keys)


def _table(title: str, doc: str, keys: Iterable[Key]) -> Iterator[str]:
    yield f"## {title}\n\n{doc}\n"
    yield "| key | default | kind | meaning |\n|---|---|---|---|"
    for key in keys:
        default = json.dumps(key.default, ensure_ascii=False)
        doc = key.doc.replace("|", "\\|")
        yield f"| `{key.path}` | `{default}` | {key.role} | {doc} |"
    yield ""


if __name__ == "__main__":
    print(reference())
