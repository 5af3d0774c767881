"""The documents say what the code does: keys, rooms, stages, files that they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neuroattn.cli.reference import reference
from neuroattn.core.config import walk
from neuroattn.pipeline.stages import catalogue
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.glob("*.md"), REPOSITORY / "README.md"])


def test_the_reference_of_keys_is_current() -> None:
    written = (DOCS / "config.md").read_text()
    assert written == reference() + "\n", "run: python -m neuroattn.cli.reference > docs/config.md"


def test_every_key_is_documented() -> None:
    page = reference()
    for group, registry in catalogue().registries.items():
        for entry in registry.values():
            for key in walk(entry.schema(), f"{group}."):
                assert key.is_name or f"`{key.path}`" in page
                assert len(key.doc) > 10, f"{key.path} needs a sentence"


def test_every_room_and_stage_stands_in_the_architecture() -> None:
    page = (DOCS / "architecture.md").read_text()
    rooms = {path.parent.name for path in (REPOSITORY / "neuroattn").glob("*/__init__.py")}
    assert len(rooms) >= 10
    assert not [room for room in rooms if f"`{room}/`" not in page]
    readme = (REPOSITORY / "README.md").read_text()
    assert not [stage for stage in catalogue().stages if f"`{stage}`" not in readme]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_modules_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    broken = [link for link in links if not (page.parent / link).exists()]
    modules = re.findall(r"`((?:core|cli|data|pipeline|training|reports)/\w+\.py)`", text)
    broken += [name for name in modules if not (REPOSITORY / "neuroattn" / name).exists()]
    assert not broken
