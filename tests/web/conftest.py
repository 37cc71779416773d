"""The service on a small bundle, and a browser in front of it."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from quickstudy.bundle import save_bundle
from quickstudy.encoders.tables import Table
from quickstudy.encoders.text import HashedNGrams
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.tasks.own.rows import Columns

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


def glyphs(folder: Path) -> Path:
    """Drawings, told apart by their pixels: needs no training, and is right about what looks alike."""
    return save_bundle(folder, Prototypical(nn.Flatten()), feature=(1, 28, 28), recipe={"source": {"name": "glyphs"}})


def texts(folder: Path) -> Path:
    return save_bundle(
        folder, Prototypical(nn.Flatten()), encoder=HashedNGrams(256), columns={"text": "review", "label": "said"}
    )


def rows(folder: Path) -> Path:
    known = Columns(
        np.array([[0.0], [10.0], [20.0]]),
        ("size",),
        np.array([[0], [1], [0]], np.int32),
        ("colour",),
        (("blue", "red"),),
    )
    return save_bundle(folder, Prototypical(nn.Flatten()), encoder=Table.fit(known), columns={"label": "kind"})


def values(folder: Path) -> Path:
    return save_bundle(folder, NearestNeighbour(), feature=(2,), kind="regression")


MAKERS = {"glyphs": glyphs, "texts": texts, "rows": rows, "values": values}


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start a service: served("glyphs", runs=folder) is its address; one bundle is served once."""
    uvicorn = pytest.importorskip("uvicorn", reason="needs the extra 'serve'")
    pytest.importorskip("fastapi", reason="needs the extra 'serve'")
    from quickstudy.serve.app import make_app
    from quickstudy.serve.settings import Settings

    running: dict[Any, tuple[Any, threading.Thread, str]] = {}

    def start(of: str, runs: Path | None = None) -> str:
        if (of, runs) not in running:
            home = tmp_path_factory.mktemp("service")
            app = make_app(
                Settings(MAKERS[of](home / "bundle"), f"sqlite:///{home / 'tasks.db'}", runs=runs, threads=1)
            )
            server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none"))
            thread = threading.Thread(target=server.run)
            thread.start()
            limit = time.monotonic() + 30
            while not server.started:
                assert thread.is_alive() and time.monotonic() < limit, "the service did not start"
                time.sleep(0.02)
            port = server.servers[0].sockets[0].getsockname()[1]
            running[of, runs] = server, thread, f"http://127.0.0.1:{port}"
        return running[of, runs][2]

    yield start
    for server, thread, _ in running.values():
        server.should_exit = True
        thread.join(20)


# Of a file, not of the session: while playwright is open its event loop is that of the thread, where tests of the
# service that may come after those of the page have theirs.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with driver.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=CAMERA)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a page: tab(address, size, scheme). Its console may complain of nothing, such as of the policy."""
    contexts, complaints = [], []

    def heard(message: Any) -> None:
        # A refusal that is shown to the user is also noted there by the browser itself.
        if message.type == "error" and "status of 4" not in message.text:
            complaints.append(message.text)

    def start(address: str, size: dict[str, int] = DESKTOP, scheme: str = "light") -> Any:
        context = chromium.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not complaints, complaints


@pytest.fixture
def task(served: Callable[..., str], tab: Callable[..., Any]) -> Callable[..., Any]:
    """A new task, made as a newcomer makes it: task("ring, cross", of="glyphs")."""

    def start(names: str, of: str = "glyphs", **options: Any) -> Any:
        page = tab(served(of), **options)
        page.locator("#new input").fill(names)
        page.get_by_role("button", name="New task").click()
        page.get_by_role("article").first.wait_for()
        return page

    return start


Line = list[tuple[float, float]]  # parts of the pad, from its upper left corner
RING = [[(0.5 + 0.3 * math.cos(math.tau * k / 12), 0.5 + 0.3 * math.sin(math.tau * k / 12)) for k in range(13)]]
CROSS = [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)]]
TENT = [[(0.15, 0.8), (0.5, 0.2), (0.85, 0.8)]]


class Hand:
    """Draws on pads with a mouse, as somebody who is in a hurry does."""

    shapes: Mapping[str, list[Line]] = {"ring": RING, "cross": CROSS, "tent": TENT}

    def draw(self, page: Any, pad: Any, lines: list[Line], *, by: float = 0.0) -> None:
        """Draw lines, moved by a part of the pad."""
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        for line in lines:
            for i, (x, y) in enumerate(line):
                page.mouse.move(box["x"] + (x + by) * box["width"], box["y"] + y * box["height"])
                if i == 0:
                    page.mouse.down()
            page.mouse.up()

    def teach(self, page: Any, name: str, lines: list[Line]) -> None:
        """Draw an example of a class and add it."""
        card = page.get_by_role("article", name=f"Class {name}", exact=True)
        before = card.locator(".thumb").count()
        self.draw(page, card.locator("canvas"), lines)
        card.get_by_role("button", name=f"Add what is drawn as {name}", exact=True).click()
        card.locator(".thumb").nth(before).wait_for()

    def ask(self, page: Any, lines: list[Line], *, by: float = 0.0) -> str:
        """Draw a question; the answer that is shown for it."""
        asked = page.locator("#question canvas")
        if page.get_by_role("button", name="Clear what is drawn as a question").is_visible():
            page.get_by_role("button", name="Clear what is drawn as a question").click()
        self.draw(page, asked, lines, by=by)
        page.locator("#ask:not([aria-busy])").wait_for()
        return page.locator(".verdict strong").inner_text()


@pytest.fixture
def hand() -> Hand:
    return Hand()
