"""The report as a reader's browser meets it: hostile input, nothing loaded, nothing broken."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import fields
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from neuroattn.reports import stage
from neuroattn.reports.sections import predictions, scores
from tests.unit.reports.fabricate import Chain, Foreign, chain

MOST_BYTES = 15_000_000

HOSTILE = {
    "script": "<script>document.title='owned'</script>",
    "attribute double": '" onmouseover="document.title=1" x="',
    "attribute single": "' onfocus='document.title=1' autofocus tabindex=1 x='",
    "attribute bare": "x onload=document.title=1",
    "image error": "<img src=x onerror=document.title='owned'>",
    "svg onload": "<svg/onload=document.title='owned'><animate onbegin=1>",
    "style end": "</style><script>document.title='owned'</script><style>",
    "title end": "</title><script>document.title='owned'</script>",
    "comment": "--><script>1</script><!--",
    "cdata": "]]><script>1</script><![CDATA[",
    "javascript url": '<a href="javascript:document.title=1">x</a>',
    "data url": '<iframe src="data:text/html,<script>1</script>"></iframe>',
    "meta refresh": '<meta http-equiv=refresh content="0;url=https://evil.example">',
    "base": "<base href=https://evil.example/>",
    "form": '<form action="https://evil.example"><input name=q autofocus>',
    "css": "x}*{background:url(https://evil.example/x)}@import 'https://evil.example';",
    "template": "{{ 31337*271 }}{% for x in y %}{{ self.__init__.__globals__ }}{# #}",
    "format": "%s%n${31337*271}#{31337*271}<%= 31337*271 %>{0.__class__}",
    "entity": "&lt;script&gt;&#x3c;img src=x onerror=1&#62;&amp;",
    "direction": "\u202etpircs<\u2066\u200f\u05e9\u05dc\u05d5\u05dd\u2069",
    "control": "nul\x00bell\x07esc\x1b[31m\x85\u2028line",
    "noncharacters": "\ufffe\uffff\U0001ffff\ufeff",
    "mathtext": "$\\frac{1}{0$ \\undefined{ ^_",
    "duplicate id": '<p id="summary" id="figure-1">',
    "long": "<b>" + "A" * 50_000,
    "table breakout": "</td></tr></table></section></main></body></html><script>1</script>",
    "separators": "a|b\tc\nd\r\ne,f;\"g\"'h'\\",
}
ASSETS = ("src", "srcset", "href", "action", "formaction", "data", "poster", "background", "cite")


class Page(HTMLParser):
    """Every element with its attributes, ids, addresses, and the text between."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.ids: list[str] = []
        self.addresses: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attributes) -> None:
        self.elements[tag, tuple(sorted(name for name, _ in attributes))] += 1
        self.ids += [value for name, value in attributes if name == "id"]
        self.addresses += [(tag, value) for name, value in attributes if name in ASSETS]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment came through: {data[:50]}")


def planted(text: str) -> Foreign:
    """``text`` in every foreign field, as far as a file can hold it."""
    values = {entry.name: text for entry in fields(Foreign)}
    values["payload"] = re.sub(r"[/\x00]", "_", text)[:60].encode()[:200].decode(errors="ignore")
    return Foreign(**{**values, "rois": (text, f"{text} 2")})


def report(made: Chain, out: Path) -> str:
    stage.run(made.context(out))
    return (out / "report.html").read_text()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("clean")
    return report(chain(folder / "chain", simulated=True), folder / "out")


@pytest.fixture(scope="module")
def clean_failed(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("failed")
    return report(chain(folder / "chain").without("encode"), folder / "out")


def demand_harmless(content: str, reference: set) -> Page:
    page = Page(content)
    assert not page.open, f"left open: {page.open}"
    assert not any(tag == "script" for tag, _ in page.elements)
    assert not [names for _, names in page.elements if any(n.startswith("on") for n in names)]
    assert set(page.elements) <= reference, "elements or attributes that no clean report has"
    assert len(page.ids) == len(set(page.ids)), "an id stands twice"
    for tag, address in page.addresses:
        assert address.startswith("data:image/" if tag == "img" else "#"), (tag, address[:80])
    style = re.search(r"<style>(.*?)</style>", content, re.DOTALL)
    assert style
    assert "url(" not in style.group(1)
    assert "@import" not in style.group(1)
    assert len(content.encode()) < MOST_BYTES
    return page


def pictures(page: Page) -> list[bytes]:
    found = [value for tag, value in page.addresses if tag == "img"]
    return [base64.b64decode(value.partition(",")[2], validate=True) for value in found]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_in_every_field_stays_text(
    name: str, clean: str, clean_failed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for section in (predictions, scores):  # drawing is tested below
        monkeypatch.setattr(section, "to_svg", lambda figure: b"<svg/>")
    reference = set(Page(clean).elements) | set(Page(clean_failed).elements)
    made = chain(tmp_path / "chain", planted(HOSTILE[name]), targets=7, images=9, simulated=True)
    page = demand_harmless(report(made, tmp_path / "out"), reference)
    shown = " ".join("".join(page.text).split())
    assert str(31337 * 271) not in shown, "a template expression was evaluated"
    start = re.split(r"[^ -~]", " ".join(HOSTILE[name].split()))[0][:40]
    assert start in shown, "the text itself is missing"
    demand_harmless(report(made.without("encode"), tmp_path / "failed"), reference)
    nothing = made.without("prepare", "features", "encode")
    demand_harmless(report(nothing, tmp_path / "nothing"), reference)


def test_hostile_text_is_drawn_as_text(clean: str, tmp_path: Path) -> None:
    rois = tuple(text[:60] for name, text in HOSTILE.items() if name != "separators")
    foreign = Foreign(rois=rois, target='<b>"$x', units="</text><script>1</script>$")
    made = chain(tmp_path / "chain", foreign, targets=2 * len(rois), simulated=True)
    page = demand_harmless(report(made, tmp_path / "out"), set(Page(clean).elements))
    for svg in pictures(page):
        elements = list(ET.fromstring(svg).iter())
        assert not [element for element in elements if element.tag.endswith("script")]
        names = {name for element in elements for name in element.attrib}
        assert not [name for name in names if name.startswith("on")]


def test_lone_surrogates_of_file_names_do_not_stop_the_report(tmp_path: Path) -> None:
    made = chain(tmp_path / "chain", Foreign(problem="cannot read \udcff.h5", log="/data/\udcff"))
    text = report(made.without("encode"), tmp_path / "out")
    assert "cannot read \ufffd.h5" in text


def test_the_page_loads_nothing(clean: str) -> None:
    page = demand_harmless(clean, set(Page(clean).elements))
    assert "http-equiv" in clean
    assert "default-src &#39;none&#39;" in clean
    assert not re.search(r"https?://|//[a-z]", re.sub(r"base64,[^\"]*", "", clean))
    for svg in pictures(page):
        text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg.decode())
        links = [unquote(link) for link in re.findall(r'href="([^"]*)"', text)]
        assert all(link.startswith(("#", "data:")) for link in links)
        assert "http" not in text


def test_every_section_is_reached_from_the_top_and_headed(clean: str) -> None:
    page = Page(clean)
    anchors = [value.removeprefix("#") for tag, value in page.addresses if tag == "a"]
    assert anchors == [
        "warnings",
        "summary",
        "data",
        "regions",
        "targets",
        "predictions",
        "methods",
        "about",
    ]
    assert set(anchors) <= set(page.ids)
    assert sum(n for (tag, _), n in page.elements.items() if tag == "h2") == len(anchors)
    assert sum(n for (tag, _), n in page.elements.items() if tag == "h1") == 1


def test_every_figure_is_whole_labelled_and_described(clean: str) -> None:
    page = Page(clean)
    assert len(pictures(page)) == 5
    for svg in pictures(page):
        assert svg.startswith(b"<?xml")
        assert svg.rstrip().endswith(b"</svg>")
        assert b"simulated responses" in svg  # the outlines carry their text in a comment
        assert b"Source: encode/ridge-" in svg
    assert page.elements["img", ("alt", "src")] == 5
    assert clean.count('<span class="tag">simulated responses</span>') == 6


def test_failures_are_shown_first_with_remedy_and_log(clean_failed: str) -> None:
    shown = clean_failed.index("Failed: encode")
    assert shown < clean_failed.index('id="summary"')
    for text in ("a session file is missing", "neuroattn data verify", "outputs/encode/ridge"):
        assert text in clean_failed


def test_many_targets_and_regions_stay_far_below_the_limit(tmp_path: Path) -> None:
    rois = tuple(f"region {number}" for number in range(200))
    made = chain(tmp_path / "chain", Foreign(rois=rois), targets=6_000, images=12)
    content = report(made, tmp_path / "out")
    assert len(content.encode()) < MOST_BYTES / 5


def browser(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium here")
    fixed = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
    )  # fmt: skip
    return subprocess.run(
        [program, *fixed, *arguments], capture_output=True, text=True, timeout=120, check=True
    )


@pytest.mark.system
def test_a_browser_shows_the_page(clean: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(clean)
    shot = tmp_path / "shot.png"
    address = (tmp_path / "report.html").as_uri()
    browser(tmp_path, f"--screenshot={shot}", "--window-size=1200,3000", address)
    image = Image.open(BytesIO(shot.read_bytes())).convert("RGB")
    colours = image.getcolors(maxcolors=1 << 24)
    assert colours is not None
    assert len(colours) > 500
    assert max(count for count, _ in colours) < 0.97 * image.width * image.height
    figure = image.crop((140, 1500, 1060, 2600)).getcolors(maxcolors=1 << 24)
    assert figure is not None
    assert any(blue > red + 30 for _, (red, _, blue) in figure), "no figure is drawn in its blue"


@pytest.mark.system
def test_a_browser_runs_no_script_of_a_hostile_report(tmp_path: Path) -> None:
    text = "".join(value for name, value in HOSTILE.items() if name not in ("long", "control"))
    made = chain(tmp_path / "chain", planted(text), targets=7, images=9)
    report(made, tmp_path / "out")
    tree = browser(tmp_path, "--dump-dom", (tmp_path / "out" / "report.html").as_uri()).stdout
    title = re.search(r"<title>(.*?)</title>", tree, re.DOTALL)
    assert title
    assert title.group(1).startswith("&lt;script&gt;"), "a script has changed the title"
    assert "<script" not in tree
