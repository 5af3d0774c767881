from __future__ import annotations

import pytest

from neuroattn.reports.blocks import (
    BuiltSection,
    Card,
    Cards,
    Column,
    Details,
    FactList,
    Notice,
    Picture,
    Prose,
    Report,
    Subheading,
    Table,
)
from neuroattn.reports.render import POLICY, render

HOSTILE = '"><script>alert(1)</script>'
ESCAPED = "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"


def page(*blocks, title: str = "T", subtitle: str = "", simulated: bool = False) -> str:
    return render(Report(title, subtitle, simulated, (BuiltSection("one", "One", blocks),)))


EVERY_BLOCK = (
    Prose((HOSTILE,)),
    Cards((Card(HOSTILE, HOSTILE, HOSTILE),)),
    FactList(((HOSTILE, HOSTILE),)),
    Table(HOSTILE, (Column(HOSTILE), Column("n", numeric=True)), ((HOSTILE, "1"),)),
    Picture(b"<svg/>", HOSTILE, HOSTILE),
    Notice("error", HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),)),
    Details(HOSTILE, (Prose((HOSTILE,)),)),
    Subheading(HOSTILE, HOSTILE),
)


@pytest.mark.parametrize("block", EVERY_BLOCK, ids=lambda block: block.kind)
def test_every_block_escapes_every_string(block) -> None:
    text = page(block)
    assert ESCAPED in text
    assert "<script" not in text


def test_the_page_escapes_its_own_strings() -> None:
    text = render(Report(HOSTILE, HOSTILE, True, (BuiltSection("one", HOSTILE, ()),)))
    assert text.count(ESCAPED) == 5  # title element, heading, subtitle, navigation, section
    assert "<script" not in text


def test_template_syntax_in_text_is_text() -> None:
    assert "{{ 7 * 7 }}" in page(Prose(("{{ 7 * 7 }} {% raw %}",)))


def test_characters_that_no_page_can_hold_are_replaced() -> None:
    text = page(Prose(("nul\x00 surrogate\udcff rtl\u202e",)))
    assert "nul\ufffd surrogate\ufffd rtl\ufffd" in text
    assert text.encode()


def test_figures_and_tables_are_numbered_through_the_page() -> None:
    picture, table = Picture(b"<svg/>", "a", "c"), Table("t", (Column("x"),), (("1",),))
    text = page(picture, table, Details("more", (table,)), picture)
    for number in (1, 2):
        assert text.count(f'id="figure-{number}"') == 1
        assert text.count(f'id="table-{number}"') == 1


def test_a_large_figure_is_embedded_whole() -> None:
    content = bytes(range(256)) * 400
    assert Picture(content, "a", "c").uri in page(Picture(content, "a", "c"))


def test_numbers_are_set_flush_right_and_totals_stand_out() -> None:
    columns = (Column("name"), Column("n", numeric=True))
    text = page(Table("t", columns, (("all", "3"),), emphasis=True))
    assert '<td class="number">3</td>' in text
    assert "<td>all</td>" in text
    assert '<table class="emphasis">' in text


def test_facts_without_a_value_are_left_out() -> None:
    assert "<dt>Space</dt>" not in page(FactList((("Space", ""), ("Units", "z"))))


def test_simulated_responses_are_labelled_in_header_and_figures() -> None:
    picture = Picture(b"<svg/>", "a", "c")
    assert page(picture, simulated=True).count('<span class="tag">simulated responses</span>') == 2
    assert "simulated responses" not in page(picture)


def test_the_policy_forbids_scripts_and_loading() -> None:
    assert POLICY.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    escaped = POLICY.replace("'", "&#39;")
    assert f'http-equiv="Content-Security-Policy" content="{escaped}"' in page()


def test_equal_reports_give_equal_text() -> None:
    assert page(*EVERY_BLOCK) == page(*EVERY_BLOCK)
