"""The report in a real browser: it is drawn to its end, on a screen and on a telephone.

Chromium's own log mixes its complaints about the machine with those of the page, and its
net log its own traffic with that of the page. Both are told apart, and a page with one fault
of each kind proves that a fault would be seen.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.system.command import Ran, run

pytestmark = pytest.mark.system

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
HEIGHT = 12_000  # more than the page needs at any width that is tested
FAULTY = """<!doctype html><title>faulty</title><h1>Faulty</h1>
<script>console.error("a fault on purpose")</script><img src="http://127.0.0.1:9/absent.png">"""


@dataclass(frozen=True)
class Visit:
    """What a browser made of a page."""

    ran: Ran
    picture: Path
    requests: Path

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The screenshot, (rows, columns, 3)."""
        with Image.open(self.picture) as image:
            return np.asarray(image.convert("RGB"))

    @property
    def complaints(self) -> list[str]:
        """Lines of the page's console."""
        return [line for line in self.ran.err.splitlines() if "CONSOLE" in line]

    @property
    def requested(self) -> set[str]:
        """Addresses on a network that the page asked for, not the browser on its own behalf."""
        text = self.requests.read_text()
        try:
            events = json.loads(text)["events"]
        except ValueError:  # the browser left before it closed the list
            events = json.loads(text.rstrip().rstrip(",") + "]}")["events"]
        parameters = [event.get("params", {}) for event in events]
        return {
            found["url"]
            for found in parameters
            if re.match(r"(https?|wss?|ftp):", str(found.get("url")))
            and found.get("initiator", "not an origin") != "not an origin"
        }


Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Open a page in a browser with a new profile, which is proven to work on a bare page."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium here (tests/system/install.sh)")

    @cache
    def visit(page: Path, width: int, height: int = HEIGHT, *, dump: bool = False) -> Visit:
        folder = tmp_path_factory.mktemp("browser")
        picture, requests = folder / "page.png", folder / "requests.json"
        aim = ["--dump-dom"] if dump else [f"--screenshot={picture}"]
        words = (
            f"--user-data-dir={folder / 'profile'}", f"--log-net-log={requests}",
            f"--window-size={width},{height}", *aim, page.as_uri(),
        )  # fmt: skip
        variables = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        ran = run([program, *FLAGS, *words], folder=folder, variables=variables)
        return Visit(ran, picture, requests)

    bare = tmp_path_factory.mktemp("bare") / "bare.html"
    bare.write_text("<!doctype html><title>bare</title><p>bare")
    tried = visit(bare, 400, 300)
    if tried.ran.code or not tried.picture.exists():
        pytest.skip(f"chromium cannot run here: {tried.ran.err.strip()[-500:]}")
    return visit


@pytest.fixture(scope="module")
def page(tiny_root: Path) -> Path:
    """The tiny chain's report."""
    (found,) = tiny_root.glob("report/*/report.html")
    return found


@pytest.fixture(params=[1200, 400])
def visit(request: pytest.FixtureRequest, browse: Open, page: Path) -> Visit:
    """The report, at the width of a screen and of a telephone."""
    return browse(page, request.param)


def drawn(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rows down to the last that is not of the background alone."""
    busy = np.flatnonzero((pixels != pixels[-1, -1]).any(axis=(1, 2)))
    return pixels[: busy[-1] + 1] if busy.size else pixels[:0]


def test_page_is_drawn_to_its_end(visit: Visit) -> None:
    page = drawn(visit.pixels)
    assert 2000 < len(page) < HEIGHT
    for band in np.array_split(page, 6):
        colours = np.unique(band.astype(int) @ [65536, 256, 1])
        assert len(colours) > 20  # letters alone, with their soft edges, make as many


def test_pictures_are_in_colour(visit: Visit) -> None:
    page = drawn(visit.pixels).astype(int)
    strong = (page.max(axis=2) - page.min(axis=2)) > 100
    assert strong.sum() > 500


def test_nothing_sticks_out_on_the_right(visit: Visit) -> None:
    edge = visit.pixels[:, -6:]
    assert (edge == visit.pixels[-1, -1]).all()


def test_console_is_silent(visit: Visit) -> None:
    assert not visit.complaints


def test_page_asks_for_nothing(visit: Visit) -> None:
    assert not visit.requested


def test_faults_would_be_seen(browse: Open, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.html"
    faulty.write_text(FAULTY)
    visit = browse(faulty, 400, 300)
    assert any("a fault on purpose" in line for line in visit.complaints)
    assert any("absent.png" in url for url in visit.requested)


class _Outline(HTMLParser):
    """Collects the texts of headings."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: dict[str, list[str]] = {"h1": [], "h2": []}
        self._open = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self.headings:
            self._open = tag
            self.headings[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.headings[self._open][-1] += data.strip()


def test_headings_are_in_the_document(browse: Open, page: Path) -> None:
    ran = browse(page, 1200, dump=True).ran
    assert ran.code == 0, ran.err
    outline = _Outline()
    outline.feed(ran.out)
    assert len(outline.headings["h1"]) == 1
    assert "simulated" in outline.headings["h1"][0]
    assert {"Summary", "Data and split", "Methods"} <= set(outline.headings["h2"])
