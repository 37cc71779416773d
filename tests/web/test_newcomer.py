"""What somebody who reads no documentation does: open the page, name three classes, draw, ask, put right."""

from __future__ import annotations

import time


def test_taught_and_answered_in_thirty_seconds(served, tab, hand):
    address = served("glyphs")
    began = time.monotonic()
    page = tab(address)
    page.keyboard.type("ring, cross, tent")  # the field has the focus
    page.get_by_role("button", name="New task").click()
    for name, lines in hand.shapes.items():
        hand.teach(page, name, lines)
    assert hand.ask(page, hand.shapes["cross"], by=0.05) == "cross"
    assert time.monotonic() - began < 30
    for name, lines in hand.shapes.items():
        assert hand.ask(page, lines, by=-0.03) == name


def test_one_click_puts_a_wrong_answer_right(task, hand):
    page = task("ring, cross")
    for name in ("ring", "cross"):
        hand.teach(page, name, hand.shapes[name])
    assert hand.ask(page, hand.shapes["tent"]) in ("ring", "cross", "I don't know")
    page.get_by_label("Name of a new class").fill("tent")
    page.get_by_role("button", name="Add class").click()
    hand.teach(page, "tent", [[(0.15, 0.5), (0.85, 0.5)]])  # a poor one
    hand.ask(page, hand.shapes["tent"])
    before = page.get_by_role("article", name="Class ring").locator(".thumb").count()
    page.locator(".bars").get_by_role("button", name="ring,").click()
    page.get_by_role("article", name="Class ring").locator(".thumb").nth(before).wait_for()
    page.locator(".verdict strong", has_text="ring").wait_for()
    assert "Learned" in page.locator(".toast").inner_text()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("article", name="Class ring").locator(".thumb").nth(before).wait_for(state="detached")


def test_why_shows_the_examples_it_rests_on(task, hand):
    page = task("ring, cross")
    for name in ("ring", "cross"):
        hand.teach(page, name, hand.shapes[name])
    hand.ask(page, hand.shapes["ring"])
    nearest = page.locator(".why figure").first
    nearest.wait_for()
    assert nearest.locator("figcaption").inner_text() == "ring"
    assert page.locator(".heat canvas").count() == 1
    widths = page.locator(".thumb img").evaluate_all("(all) => all.map((image) => image.naturalWidth)")
    assert len(widths) >= 4 and 0 not in widths  # all thumbnails are there


def test_it_does_not_know_below_the_threshold(task, hand):
    page = task("ring, cross")
    for name in ("ring", "cross"):
        hand.teach(page, name, hand.shapes[name])
    hand.ask(page, hand.shapes["ring"])
    slider = page.locator(".threshold input")
    slider.fill("0")
    assert page.locator(".verdict strong").inner_text() == "ring"
    slider.fill("100")
    share = page.locator(".bar .number").first.inner_text()
    known = page.locator(".verdict strong").inner_text()
    assert known == "I don't know" or share == "100%"
