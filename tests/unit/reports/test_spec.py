from __future__ import annotations

import pytest

from neuroattn.core.registry import load
from neuroattn.reports.blocks import Notice, Prose
from neuroattn.reports.registry import CHAINS, ReportConfig
from neuroattn.reports.sources import Sources
from neuroattn.reports.spec import SECTIONS, SectionSpec, assemble
from tests.unit.reports.fabricate import Chain

pytestmark = pytest.mark.usefixtures("undrawn")


def greet(sources: Sources) -> tuple[Prose, ...]:
    return (Prose(("from another room",)),)


def nothing(sources: Sources) -> tuple[Prose, ...]:
    return ()


HERE = __name__


def test_every_listed_section_can_be_imported_and_has_an_anchor_of_its_own() -> None:
    assert all(callable(load(spec.build)) for spec in SECTIONS)
    assert len({spec.anchor for spec in SECTIONS}) == len(SECTIONS)
    known = {stage for chain in CHAINS.values() for stage in chain}
    assert {need for spec in SECTIONS for need in spec.needs} <= known
    assert {chain for spec in SECTIONS for chain in spec.chains} <= set(CHAINS)


def test_another_room_adds_a_section_by_one_line() -> None:
    report = assemble(Sources({}), [SectionSpec("maps", "Maps", f"{HERE}:greet")])
    assert [(s.anchor, s.title, s.blocks) for s in report.sections] == [
        ("maps", "Maps", (Prose(("from another room",)),))
    ]


def test_an_empty_section_is_left_out() -> None:
    assert assemble(Sources({}), [SectionSpec("x", "X", f"{HERE}:nothing")]).sections == ()


def test_a_section_without_its_stage_says_which_is_missing(made: Chain) -> None:
    spec = SectionSpec("x", "X", "no.such.module:blocks", needs=("prepare", "encode"))
    failed = made.without("encode")
    (section,) = assemble(Sources(failed.parents, failed.failures), [spec]).sections
    (notice,) = section.blocks
    assert isinstance(notice, Notice)
    assert notice.text == "encode failed, see Errors."
    (section,) = assemble(Sources({}), [spec]).sections
    assert "prepare has no finished artefact; encode has" in section.blocks[0].text


def test_sections_of_other_chains_are_not_shown_nor_imported() -> None:
    spec = SectionSpec("x", "X", "no.such.module:blocks", chains=("decode",))
    assert assemble(Sources({}), [spec]).sections == ()


def test_the_title_is_the_users_or_names_the_dataset(made: Chain) -> None:
    assert assemble(Sources(made.parents), []).title == "Report on Ventral stream, one subject"
    options = ReportConfig(title="Pilot")
    assert assemble(Sources(made.parents, {}, options), []).title == "Pilot"
    assert assemble(Sources({}), []).title == "Report"


# nothing to say of most encoders
OPTIONAL = {"truth", "others", "attention", "training", "fields", "layers"}


def test_errors_come_first_and_the_whole_chain_gives_all_other_sections(made: Chain) -> None:
    anchors = [
        spec.anchor
        for spec in SECTIONS
        if (not spec.chains or "encode" in spec.chains) and spec.anchor not in OPTIONAL
    ]
    failed = made.without("features", "encode")
    with_errors = assemble(Sources(failed.parents, failed.failures))
    assert [section.anchor for section in with_errors.sections] == anchors
    assert [section.anchor for section in assemble(Sources(made.parents)).sections] == anchors[1:]
