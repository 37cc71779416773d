"""Every view on a phone and on a desk, light and dark: nothing is cut off, all can be read, named and reached."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 800}}

# Colours as the browser computed them, and whether each text stands out from what is behind it (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("main *, header *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest("svg")) continue;
    const [a, b] = [parts(getComputedStyle(element).color), behind(element)].map(light).sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(`${element.tagName} ${element.textContent.trim().slice(0, 40)}`);
  }
  return faint;
}"""
FOCUSED = """() => {
  const here = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(here.closest("label") ?? here);
  const name = here.getAttribute("aria-label") || here.textContent.trim();
  return [name, outlineStyle !== "none" && outlineWidth !== "0px"];
}"""
NAMELESS = """() => [...document.querySelectorAll("button, a, input, textarea, select, summary, canvas, img, svg")]
  .filter((e) => e.checkVisibility() && !e.closest("[aria-hidden=true]") && e.getAttribute("alt") !== "")
  .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.[0]?.textContent.trim() || e.alt))
  .map((e) => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, rate in (("protonet", 300), ("a-run-with-a-name-that-is-rather-long-for-a-phone", 900)):
        (folder / name).mkdir()
        points = [
            {"step": s, "loss": 2 - s / rate / 5, "metric": s / 2000, "seconds": s / 9} for s in range(100, 1500, 100)
        ]
        (folder / name / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_views_fit_and_can_be_read(served, tab, runs, size, scheme):
    address = served("glyphs", runs=runs)
    page = tab(address, SIZES[size], scheme)
    page.locator("#new input").fill("a class with a long name that goes on and on, b, " + "c" * 60)
    page.get_by_role("button", name="New task").click()
    page.get_by_role("article").nth(2).wait_for()
    for view in (page.url, address, f"{address}/learner", f"{address}/runs"):
        page.goto(view)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], view
        assert page.evaluate(NAMELESS) == [], view
        assert page.evaluate(CONTRAST) == [], view


def test_the_keyboard_reaches_everything_and_shows_where_it_is(task):
    page = task("ring, cross")
    page.wait_for_load_state("networkidle")
    page.locator("body").evaluate("(body) => { body.tabIndex = -1; body.focus(); }")
    names = []
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate(FOCUSED)
        names.append(here[0])
        assert here[1], f"'{here[0]}' does not show that it has the focus"
        if here[0] == "Delete this task":
            break
    assert names[0] == "Skip to the content"
    wanted = ["Tasks", "Name of the task", "Export", "Name of the class ring", "Choose pictures of cross", "Add class"]
    assert [name for name in wanted if name not in names] == []
    assert "Choose pictures of a question" in names


def test_runs_are_drawn_while_they_train(served, tab, runs):
    page = tab(f"{served('glyphs', runs=runs)}/runs")
    boxes = page.get_by_role("checkbox")
    assert boxes.evaluate_all("(all) => all.every((box) => box.checked)")  # both train
    page.get_by_role("checkbox", name="a-run").uncheck()
    page.locator(".legend", has_text="a-run").first.wait_for(state="detached")
    assert page.url.endswith("?show=protonet")
    with (runs / "protonet" / "curve.jsonl").open("a") as curve:
        curve.write(json.dumps({"step": 54321, "loss": 0.5, "metric": 0.9, "seconds": 9}) + "\n")
    page.get_by_text("54,321").wait_for()  # without a click
    assert page.get_by_role("checkbox", name="protonet").is_checked()


def test_a_folder_of_runs_that_is_gone(served, tab, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    page = tab(f"{served('glyphs', runs=folder)}/runs")
    page.get_by_text("There is no run in runs yet.").wait_for()
    shutil.rmtree(folder)
    page.reload()
    page.get_by_text("There is no run in runs yet.").wait_for()
