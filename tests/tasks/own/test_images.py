"""Folders of images: how they lie, and which are not used."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quickstudy.errors import BadFile, NotEnoughExamples
from quickstudy.tasks.own.images import read_images


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Path:
    """A picture of noise that depends on the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of three images each, of several formats."""
    for c, name in enumerate(("cat", "dog", "owl")):
        for i, (ending, mode) in enumerate((("png", "RGBA"), ("jpg", "L"), ("bmp", "RGB"))):
            draw(tmp_path / "pets" / name / f"{i}.{ending}", seed=10 * c + i, mode=mode)
    return tmp_path / "pets"


def test_classes_in_folders(folder: Path) -> None:
    rows = read_images(folder)
    assert (rows.name, rows.modality, rows.tasks, len(rows)) == ("pets", "image", None, 9)
    assert rows.inputs[0] == folder / "cat" / "0.png" and rows.labels[0] == "cat"
    assert not rows.dropped and "folders are read as class/image" in str(rows)


def test_tasks_in_folders(tmp_path: Path) -> None:
    for i in range(16):
        draw(tmp_path / f"line{i % 2}" / ("ok", "bad")[i // 2 % 2] / f"{i}.png", seed=i)
    rows = read_images(tmp_path)
    assert rows.task_numbers[0] == ("line0", "line1") and rows.classes[0] == ("bad", "ok")
    assert "task/class/image" in str(rows)


def test_a_folder_around_everything_is_no_task(folder: Path) -> None:
    rows = read_images(folder.parent)
    assert rows.tasks is None and rows.inputs[0] == folder / "cat" / "0.png"
    assert any("'pets' holds everything" in note for note in rows.notes)


def test_what_is_broken_is_listed_and_never_fatal(folder: Path) -> None:
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "cat" / "text.jpg").write_text("no picture")
    big = draw(folder / "cat" / "big.png", seed=5, size=(300, 300))
    (folder / "cat" / "half.png").write_bytes(big.read_bytes()[: big.stat().st_size // 2])
    photo = draw(folder / "dog" / "photo.jpg", seed=6, size=(300, 300)).read_bytes()
    (folder / "dog" / "half.jpg").write_bytes(photo[: len(photo) // 2])
    (folder / "dog" / "more.jpg").write_bytes(photo + b"appended" * 20_000)
    (folder / "dog" / "gone.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "dog" / "pipe.png")
    (folder / "dog" / "notes.txt").write_text("x")
    (folder / "dog" / ".hidden.png").write_bytes(b"x")
    (folder / "astray.png").write_bytes(b"x")
    rows = read_images(folder, most_pixels=90_000 - 1)
    assert {(d.reason, d.count, d.examples) for d in rows.dropped} == {
        ("hidden files", 1, ("dog/.hidden.png",)),
        ("files that are no images by their ending", 1, ("dog/notes.txt",)),
        ("images not 1 folders deep as most are", 1, ("astray.png",)),
        ("images of zero bytes", 1, ("cat/empty.png",)),
        ("images that are broken, or none", 1, ("cat/text.jpg",)),
        (
            "images of more than 89,999 pixels",
            5,
            ("cat/big.png", "cat/half.png", "dog/half.jpg", "dog/more.jpg", "dog/photo.jpg"),
        ),
        ("images that are not there", 1, ("dog/gone.png",)),
        ("images that are no files", 1, ("dog/pipe.png",)),
    }
    assert len(rows) == 9
    rows = read_images(folder)
    reasons = {d.reason: d.examples for d in rows.dropped}
    assert reasons["images that are cut off"] == ("dog/half.jpg",)
    assert reasons["images that are broken, or none"] == ("cat/half.png", "cat/text.jpg")
    assert len(rows) == 12


def test_folders_that_cannot_be_opened_are_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("owl"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    rows = read_images(folder)
    assert rows.dropped[0].reason == "folders that cannot be opened" and rows.dropped[0].examples[0].endswith("owl")
    assert rows.classes[0] == ("cat", "dog")


def test_classes_with_one_image_are_left_out(folder: Path) -> None:
    draw(folder / "yak" / "0.png", seed=99)
    assert read_images(folder).dropped[-1].examples == ("yak",)


def test_copies_are_found_by_their_content(folder: Path) -> None:
    (folder / "dog" / "copy.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    assert any("'cat' and 'dog' share 1" in note for note in read_images(folder).notes)


def test_folders_called_as_splits_are_pointed_out(tmp_path: Path) -> None:
    for i in range(8):
        draw(tmp_path / ("train", "test")[i % 2] / ("a", "b")[i // 2 % 2] / f"{i}.png", seed=i)
    assert any("like parts of a split" in note for note in read_images(tmp_path).notes)


def test_links_are_followed_once(folder: Path) -> None:
    (folder / "cat" / "loop").symlink_to(folder)
    draw(folder.parent / "elsewhere" / "a.png", seed=70)
    draw(folder.parent / "elsewhere" / "b.png", seed=71)
    (folder / "elk").symlink_to(folder.parent / "elsewhere")
    rows = read_images(folder)
    assert len(rows) == 11 and "elk" in rows.classes[0]


def test_folders_that_are_not_understood(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="does not exist"):
        read_images(tmp_path / "none")
    file = draw(tmp_path / "flat" / "a.png")
    with pytest.raises(BadFile, match="is a file"):
        read_images(file)
    with pytest.raises(BadFile, match=r"1 of 1 images in .* lie in no folder of a class \('a.png'\)"):
        read_images(tmp_path / "flat")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("x")
    with pytest.raises(NotEnoughExamples, match=r"holds no image; 1 files that are no images by their ending"):
        read_images(tmp_path / "other")
    for i in range(4):
        draw(tmp_path / "deep" / f"{i % 2}" / f"{i}" / "b" / "c" / "a.png")
    with pytest.raises(BadFile, match="4 folders deep"):
        read_images(tmp_path / "deep")
    draw(tmp_path / "single" / "a" / "1.png", 1)
    draw(tmp_path / "single" / "a" / "2.png", 2)
    with pytest.raises(NotEnoughExamples, match="has 1 with two examples or more"):
        read_images(tmp_path / "single")


def test_many_images_take_seconds(tmp_path: Path) -> None:
    content = draw(tmp_path / "one.jpg", size=(64, 64)).read_bytes()
    for i in range(600):
        path = tmp_path / "many" / f"c{i % 20}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content + os.urandom(i % 7))
    start = time.process_time()
    assert len(read_images(tmp_path / "many")) == 600
    assert time.process_time() - start < 2.0
