"""miniImageNet: every layout gives the same images, the published split decides, and what is wrong is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from quickstudy.errors import BadFile, MissingData, QuickstudyError
from quickstudy.recipe import Recipe
from quickstudy.task import Examples
from quickstudy.tasks.datasets import mini_imagenet as module
from quickstudy.tasks.datasets.mini_imagenet import mini_imagenet, prepare
from quickstudy.tasks.datasets.named import class_lists
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import SPLITS

LISTS = class_lists("mini_imagenet.json")
SIDE = {name: side for side in SPLITS for name in LISTS[side]}
SHORT = {"train": "train", "validation": "val", "test": "test"}
CLASSES = sorted(SIDE)
ONE, TWO = CLASSES[0], CLASSES[1]  # both for training
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("mini-imagenet-*.toml"))


def picture(number: int, *, mode: str = "RGB", size: tuple[int, int] = (10, 8)) -> Image.Image:
    """One colour, by its number."""
    image = Image.new("RGB", size, (2 * number, 255 - number, 7))
    return image.convert(mode)


def place(layout: str, folder: Path, name: str, number: int) -> Path:
    """Where image `number` of a class lies."""
    homes = {
        "lists": folder / "images" / f"{name}{number:08d}.png",
        "sides": folder / SHORT[SIDE[name]] / name / f"{name}_{number}.png",
        "classes": folder / name / f"{name}_{number}.png",
    }
    return homes[layout]


def lay_out(folder: Path, layout: str) -> Path:
    """Two images of each class, the number of an image its place among all."""
    rows: dict[str, list[str]] = {side: ["filename,label"] for side in SPLITS}
    for number, name in enumerate(CLASSES):
        for copy in range(2):
            path = place(layout, folder, name, copy)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(number + copy).save(path)
            rows[SIDE[name]].append(f"{path.name},{name}")
    if layout == "lists":
        for side, lines in rows.items():
            (folder / f"{SHORT[side]}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, own_places: Path) -> Iterator[None]:
    """Two images a class are all."""
    monkeypatch.setattr(module, "EACH", 2)
    monkeypatch.setattr(module, "BLOCK", 64)
    yield


@pytest.fixture
def little(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "little", "sides")


def test_the_published_list() -> None:
    assert [len(LISTS[side]) for side in SPLITS] == [64, 16, 20]
    assert len(SIDE) == 100
    assert all(len(name) == 9 and name[0] == "n" and name[1:].isdigit() for name in CLASSES)


@pytest.mark.parametrize("layout", ["lists", "sides", "classes"])
def test_every_layout(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay_out(tmp_path / "data" / "mini-imagenet", layout)
    (folder / "README.txt").write_text("not an image")
    monkeypatch.setenv("QUICKSTUDY_DATA", str(folder.parent))
    pool = mini_imagenet()
    assert pool.name == "mini-imagenet"
    assert pool.classes == pool.groups == tuple(CLASSES)
    assert [len(pool.members(side)) for side in SPLITS] == [64, 16, 20]
    assert {name: side for name, side in zip(pool.classes, pool.split, strict=True)} == SIDE
    assert pool.x.shape == (200, 3, 84, 84)
    assert pool.x.dtype == torch.uint8
    colours = torch.tensor([[2 * (i + j), 255 - i - j, 7] for i in range(100) for j in range(2)])
    assert torch.equal(pool.x, colours[:, :, None, None].expand(-1, -1, 84, 84).to(torch.uint8))
    assert pool.y.tolist() == [i // 2 for i in range(200)]
    assert Episodes(pool, ways=5, shots=1, queries=1).sample(0, 2).support.x.shape == (2, 5, 3, 84, 84)


def test_images_of_other_sizes_and_modes(little: Path) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(256, size=(120, 100, 3), dtype=np.uint8))
    ready = Image.fromarray(rng.integers(256, size=(84, 84, 3), dtype=np.uint8))
    saved = {
        (0, "a.JPEG"): noise.convert("L"),
        (0, "b.jpg"): noise.convert("CMYK"),
        (1, "a.png"): noise,
        (1, "b.png"): ready,
        (2, "a.png"): noise.convert("P"),
        (2, "b.png"): noise.convert("LA"),
    }
    for number in range(3):
        for old in (little / "train" / CLASSES[number]).iterdir():
            old.unlink()
    for (number, file), image in saved.items():
        image.save(little / "train" / CLASSES[number] / file)
    x = mini_imagenet(str(little)).x
    assert torch.equal(x[0, 0], x[0, 1]) and torch.equal(x[0, 1], x[0, 2])
    assert x[1].float().std() > 10
    lanczos = np.asarray(noise.resize((84, 84), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    assert np.array_equal(x[2].numpy(), lanczos)
    assert np.array_equal(x[3].numpy(), np.asarray(ready).transpose(2, 0, 1))  # not resized again
    assert torch.equal(x[5, 0], x[5, 2])


def test_images_are_resized_once_and_again_when_one_changes(
    little: Path, own_places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, int]] = []
    path = prepare(str(little), progress=lambda *now: told.append(now))
    assert told == [("resized images", done, 200) for done in (64, 128, 192, 200)]
    assert [p.name for p in own_places.iterdir()] == [path.name]
    assert prepare(str(little), progress=lambda *now: told.append(now)) == path
    assert len(told) == 4
    written = mini_imagenet(str(little)).x
    written[0] = 99
    assert mini_imagenet(str(little)).x[0, 0, 0, 0] == 0  # what a user writes into a pool does not reach the file
    changed = place("sides", little, ONE, 0)
    picture(50).save(changed)
    os.utime(changed, ns=(1, 1))
    assert prepare(str(little)) != path
    assert mini_imagenet(str(little)).x[0, 0, 0, 0] == 100
    content = path.read_bytes()
    for broken in (b"", content[:50], content[:-1]):
        path.write_bytes(broken)
        picture(0).save(changed)
        new = prepare(str(little))
        new.write_bytes(broken)
        assert len(prepare(str(little)).read_bytes()) == len(content)


def test_a_broken_image_is_named_and_leaves_nothing(little: Path, own_places: Path) -> None:
    path = place("sides", little, TWO, 1)
    for content in (b"", b"no image", path.read_bytes()[:45]):
        path.write_bytes(content)
        with pytest.raises(BadFile, match=f"{path} cannot be read as a picture: .* Put the original there again"):
            mini_imagenet(str(little))
        assert list(own_places.iterdir()) == []


def test_a_cache_that_cannot_be_written(little: Path, own_places: Path) -> None:
    own_places.write_bytes(b"a file")
    with pytest.raises(QuickstudyError, match=r"Could not save .*mini-imagenet-\w{20}\.npy \(1\.3 GB\)"):
        mini_imagenet(str(little))


def test_what_is_missing_says_how_to_lay_it_out(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"cannot be fetched\. .* train\.csv, val\.csv, .* Then set QUICKSTUDY_DATA"):
        mini_imagenet()
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(MissingData, match=f"no miniImageNet in {folder}; lay it out with train.csv"):
            mini_imagenet(str(folder))


def test_classes_and_sides_that_are_not_the_published_ones(little: Path) -> None:
    one = little / "train" / ONE
    (little / "test" / ONE).mkdir()
    moved = little / "test" / ONE / "0.png"
    place("sides", little, ONE, 0).rename(moved)
    with pytest.raises(BadFile, match=f"another split than the published one: {ONE} in test instead of train. It has"):
        mini_imagenet(str(little))
    moved.rename(one / "0.png")
    one.rename(little / "train" / "n00000001")
    with pytest.raises(BadFile, match=f"it lacks {ONE}\\. It has 2 images of each of 100 classes"):
        mini_imagenet(str(little))
    (little / "train" / "n00000001").rename(one)
    stranger = little / "val" / "n00000001"
    stranger.mkdir()
    picture(0).save(stranger / "0.png")
    with pytest.raises(BadFile, match="holds what is no class of it: n00000001"):
        mini_imagenet(str(little))
    (stranger / "0.png").rename(one / "2.png")
    with pytest.raises(BadFile, match=f"does not have 2 images of a class: 3 of {ONE}\\."):
        mini_imagenet(str(little))


def test_lists_that_are_wrong(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "little", "lists")
    table = folder / "train.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], lines[1], *lines[1:2], *lines[3:]]))  # one image twice
    with pytest.raises(BadFile, match=f"1 of {lines[1].split(',')[1]}"):
        mini_imagenet(str(folder))
    table.write_text("\n".join([lines[0], f"lost.png,{lines[1].split(',')[1]}", *lines[2:]]))
    with pytest.raises(BadFile, match=r"lost\.png cannot be found"):
        mini_imagenet(str(folder))
    for content in (b"name;class\n", b"\xff\xfe\xff", b'filename,label\n"open'):
        table.write_bytes(content + b"a,b\n")
        with pytest.raises(BadFile, match=r"train\.csv cannot be read as a list of images"):
            mini_imagenet(str(folder))
    table.unlink()
    with pytest.raises(BadFile, match=r"train\.csv cannot be read .* there are three of them"):
        mini_imagenet(str(folder))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_fit_the_images(path: Path) -> None:
    recipe = Recipe.read(path)
    learner, x = recipe.make_learner().eval(), torch.rand(5, 3, 84, 84)
    learner.test_steps = 1  # type: ignore[assignment]
    state = learner.adapt(Examples(x, torch.arange(5), ways=5))
    assert learner.predict(state, x).shape == (5, 5)
