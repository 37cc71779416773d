"""Tasks in the browser: named by anybody, renamed, searched, deleted and brought back; other inputs than drawings."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageDraw

EVIL = '<img src=x onerror="document.title=1">'


def picture(shape: str) -> dict:
    """A scan: black ink on white paper."""
    image = Image.new("L", (90, 120), 255)
    ink = ImageDraw.Draw(image)
    if shape == "ring":
        ink.ellipse((20, 40, 70, 90), outline=0, width=6)
    else:
        ink.line((20, 40, 70, 90), fill=0, width=6)
        ink.line((70, 40, 20, 90), fill=0, width=6)
    made = io.BytesIO()
    image.save(made, "PNG")
    return {"name": f"{shape}.png", "mimeType": "image/png", "buffer": made.getvalue()}


def test_names_are_text_and_never_html(task, served):
    page = task(EVIL + ", cross")
    card = page.get_by_role("article").first
    assert card.get_attribute("aria-label") == f"Class {EVIL}"
    card.locator("input[type=file]").set_input_files([picture("ring"), picture("ring")])
    page.get_by_role("article").nth(1).locator("input[type=file]").set_input_files(picture("cross"))
    page.get_by_role("article").nth(1).locator(".thumb").wait_for()
    page.locator("#question input[type=file]").set_input_files(picture("ring"))
    page.locator(".verdict strong", has_text=EVIL).wait_for()
    page.locator(".why figcaption", has_text=EVIL).first.wait_for()
    page.locator("#history").locator("..").locator("summary").click()
    page.goto(served("glyphs"))
    page.get_by_role("link", name=EVIL).wait_for()
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "Tasks · quickstudy"


def test_a_scan_is_seen_as_a_drawing_is(task, hand):
    page = task("ring, cross")
    for name in ("ring", "cross"):
        hand.teach(page, name, hand.shapes[name])
    files = page.locator("#question input[type=file]")
    files.set_input_files([picture("ring"), picture("cross")])
    said = page.locator(".several button span")
    said.nth(1).wait_for()
    assert said.all_inner_texts() == ["ring", "cross"]
    page.locator(".several button").nth(1).click()
    page.locator(".verdict strong", has_text="cross").wait_for()


def test_a_task_is_renamed_searched_deleted_and_restored(task, served):
    page = task("owl, lynx")
    name = page.get_by_label("Name of the task")
    name.fill("Night animals")
    with page.expect_response("**/v1/tasks/*"):
        name.press("Enter")
    title = page.get_by_label("Name of the class owl")
    title.fill("barn owl")
    with page.expect_response("**/v1/tasks/*"):
        title.press("Enter")
    page.get_by_role("article", name="Class barn owl").wait_for()
    assert page.get_by_role("article", name="Class owl", exact=True).count() == 0
    page.goto(served("glyphs"))
    with page.expect_response("**/v1/tasks?search=night*"):
        page.get_by_label("Search tasks").fill("night")
    row = page.get_by_role("listitem").filter(has_text="Night animals")
    row.wait_for()
    row.get_by_label("More for Night animals").click()
    assert row.get_by_role("link", name="Export JSON").get_attribute("href").endswith("/export?format=json")
    row.get_by_role("button", name="Delete").click()
    page.get_by_text("No task is called that.").wait_for()
    page.get_by_role("button", name="Undo").click()
    row.wait_for()


def test_classes_come_and_go(task):
    page = task("ring, cross")
    page.get_by_label("Name of a new class").fill("wave")
    page.get_by_role("button", name="Add class").click()
    card = page.get_by_role("article", name="Class wave")
    card.locator("input[type=file]").set_input_files([picture("ring")])
    card.locator(".thumb").wait_for()
    page.reload()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove the class wave").click()
    card.wait_for(state="detached")
    page.get_by_role("button", name="Remove the class cross").click()  # it is empty: nothing is asked
    page.get_by_role("article", name="Class cross").wait_for(state="detached")
    assert page.get_by_role("article").count() == 1


def test_an_example_is_looked_at_and_removed(task):
    page = task("ring, cross")
    card = page.get_by_role("article", name="Class ring")
    card.locator("input[type=file]").set_input_files([picture("ring"), picture("cross")])
    thumbs = card.locator(".thumb")
    thumbs.nth(1).wait_for()
    assert card.locator(".count").inner_text() == "2"
    thumbs.first.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    thumbs.nth(1).wait_for(state="detached")
    page.reload()
    thumbs.first.wait_for()
    assert thumbs.count() == 1


def test_a_picture_is_taken_with_the_camera(task):
    page = task("ring, cross")
    page.get_by_role("button", name="Take a picture of ring").click()
    page.get_by_role("button", name="Take a picture", exact=True).click()
    page.get_by_role("article", name="Class ring").locator(".thumb").wait_for()
    page.get_by_role("button", name="Done").click()
    assert not page.get_by_role("dialog").is_visible()


def test_texts_are_pasted_a_line_each_and_words_are_marked(task):
    page = task("praise, complaint", of="texts")
    for name, lines in (("praise", "works great\nlove it, great"), ("complaint", "it broke\nbroke at once")):
        area = page.get_by_label(f"Type or paste {name}")
        area.fill(lines)
        area.press("Enter")
        page.get_by_role("article", name=f"Class {name}").locator(".snippet").nth(1).wait_for()
        assert area.input_value() == ""
    area = page.get_by_label("Type or paste a question")
    area.fill("the handle broke")
    area.press("Enter")
    page.locator(".bar").first.wait_for()
    assert page.locator(".bar .name").first.inner_text() == "complaint"
    page.locator("mark", has_text="broke").wait_for()
    page.locator("#quality", has_text="of its own examples").wait_for()


def test_rows_are_pasted_dropped_and_asked(task):
    page = task("small, large", of="rows")
    area = page.get_by_label("Type or paste small")
    area.fill('colour;size\n"blue";1\nred;2')
    area.press("Enter")
    page.get_by_role("article", name="Class small").locator(".snippet").nth(1).wait_for()
    page.get_by_text("Teach from a CSV file").click()
    csv = {"name": "more.csv", "mimeType": "text/csv", "buffer": b"size,colour,kind\n18,red,large\n19,blue,large\n"}
    page.locator("#whole input").set_input_files(csv)
    page.get_by_role("article", name="Class large").locator(".snippet").nth(1).wait_for()
    page.get_by_label("size").fill("17")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator(".bar").first.wait_for()
    assert page.locator(".bar .name").first.inner_text() == "large"
    area.fill("1,2,3")
    area.press("Enter")
    page.get_by_text("A row has 3 cells, but there are 2 columns: size, colour.").wait_for()


def test_values_are_estimated_and_corrected(task):
    page = task("yield", of="values")
    value, area = page.get_by_label("Value of the next example"), page.get_by_label("Type or paste an example")
    for y, x in (("2.5", "0, 0"), ("7", "1, 1")):
        value.fill(y)
        area.fill(x)
        with page.expect_response("**/examples"):
            area.press("Enter")
        page.locator("figcaption", has_text=y).wait_for()
    question = page.get_by_label("Type or paste a question")
    question.fill("0.9, 1")
    question.press("Enter")
    page.locator(".verdict strong", has_text="7").wait_for()
    page.get_by_label("The right value").fill("8")
    page.get_by_role("button", name="Teach the right value").click()
    page.locator(".verdict strong", has_text="8").wait_for()


@pytest.mark.parametrize("wrong", ["abc", "1, x"])
def test_what_is_no_number_is_said_to_be_none(task, wrong):
    page = task("yield", of="values")
    page.get_by_label("Value of the next example").fill("1")
    area = page.get_by_label("Type or paste an example")
    area.fill(wrong)
    area.press("Enter")
    page.get_by_text("is not numbers with commas between them").wait_for()
    assert area.input_value() == wrong


def test_a_task_that_is_not_there(served, tab):
    page = tab(served("glyphs") + "/tasks/0123456789abcdef")
    page.get_by_text("There is no task").wait_for()
