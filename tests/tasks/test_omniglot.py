"""Omniglot: the official format is read to the pixel, and the splits are those of the literature."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from quickstudy.errors import BadFile, MissingData, UnknownName, UserError
from quickstudy.task import check_task, take
from quickstudy.tasks.datasets import named
from quickstudy.tasks.datasets.omniglot import LakeRuns, _side, convert, omniglot
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import SPLITS, Pool

CLASSES = [f"Greek/character{n:02d}" for n in (1, 2, 8)] + [f"Gurmukhi/character{n}" for n in (40, 41, 42)]


@pytest.fixture
def real() -> Path:
    """The folder of the complete Omniglot."""
    own = os.environ.get("QUICKSTUDY_DATA")
    if not own:
        pytest.skip("QUICKSTUDY_DATA is not set; it names the folder that holds omniglot/omniglot28.npz")
    path = Path(own) / "omniglot"
    if not path.is_dir():
        pytest.skip(f"QUICKSTUDY_DATA is {own}, which does not hold omniglot")
    return path


@pytest.fixture
def little(archives: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with six characters of Omniglot."""
    folder = tmp_path / "data" / "omniglot"
    folder.mkdir(parents=True)
    for file, content in convert(archives).items():
        (folder / file).write_bytes(content)
    monkeypatch.setenv("QUICKSTUDY_DATA", str(tmp_path / "data"))
    return folder


def averaged(drawing: np.ndarray, size: int) -> np.ndarray:
    """The mean of the pixels whose centres lie in an area."""
    edges, centre = np.linspace(0, 105, size + 1), np.arange(105) + 0.5
    weight = ((edges[:-1, None] < centre) & (centre <= edges[1:, None])).astype(float)
    weight /= weight.sum(1, keepdims=True)
    return np.asarray(weight @ (255.0 * drawing) @ weight.T)


def test_the_official_format_is_read_by_class_and_drawer(archives: list[Path], drawings: dict[str, np.ndarray]) -> None:
    files = convert(archives)
    assert files == convert(archives[::-1])
    with np.load(io.BytesIO(files["omniglot28.npz"]), allow_pickle=False) as file:
        arrays = dict(file)
    assert arrays["class_name"].tolist() == CLASSES
    assert arrays["class_set"].tolist() == [0, 0, 0, 1, 1, 1]
    assert arrays["class_id"].tolist() == [i // 20 for i in range(120)]
    assert arrays["drawer"].tolist() == list(range(1, 21)) * 6
    for row in (0, 19, 25, 119):
        expected = averaged(drawings[CLASSES[row // 20]][row % 20], 28)
        assert np.abs(arrays["images"][row] - expected).max() <= 1
    with np.load(io.BytesIO(files["omniglot105_bits.npz"]), allow_pickle=False) as file:
        bits = np.unpackbits(file["images_packed"], axis=1, count=105 * 105).reshape(-1, 105, 105)
    assert np.array_equal(bits, np.concatenate([drawings[name] for name in CLASSES]))


def test_progress_is_told(archives: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []
    convert(archives, lambda *step: told.append(step))
    assert told == []  # every thousand drawings, of which there are 120


def rewritten(path: Path, old: Path, change: dict[str, bytes | None]) -> Path:
    """An archive with some entries changed, added, or (None) taken away."""
    with zipfile.ZipFile(old) as archive:
        entries: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()} | change
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def picture(side: int, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("1", (side, side)).save(content, kind)
    return content.getvalue()


ONE = "images_background/Greek/character02/0702_07.png"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({ONE: None}, "20 drawings of each character, but .* hold 119 of 6 characters"),
        ({ONE.replace("_07", "_21"): picture(105)}, "hold 121 of 6 characters"),
        ({ONE: b"\x89PNG\r\n\x1a\n and nothing more"}, "0702_07.png in .* cannot be read as a drawing"),
        ({ONE: picture(105)[:48]}, "0702_07.png in .* cannot be read as a drawing"),
        ({ONE: picture(28)}, r"it has \(28, 28\) pixels, not 105 a side"),
        ({ONE: picture(105, "GIF")}, "cannot be read as a drawing"),  # a name does not make a PNG
        ({"../evil.png": b"!"}, "leads out of the folder"),
    ],
)
def test_archives_that_are_not_as_published(
    archives: list[Path], tmp_path: Path, change: dict[str, bytes | None], message: str
) -> None:
    background = rewritten(tmp_path / "images_background.zip", archives[0], change)
    with pytest.raises(BadFile, match=message):
        convert([background, archives[1]])


def test_archives_without_drawings(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("README.md", b"")
    with pytest.raises(BadFile, match="hold 0 of 0 characters"):
        convert([tmp_path / "a.zip"])


def test_the_pool(little: Path, drawings: dict[str, np.ndarray]) -> None:
    pool = omniglot(rotations=False)
    assert pool.name == "omniglot"
    assert pool.x.shape == (120, 1, 28, 28)
    assert pool.x.dtype == torch.uint8
    assert pool.classes == tuple(CLASSES)
    assert pool.groups == ("Greek",) * 3 + ("Gurmukhi",) * 3
    assert pool.y.tolist() == [i // 20 for i in range(120)]
    assert omniglot().name == "omniglot+rotations"
    assert omniglot().x.shape == (480, 1, 28, 28)
    assert Episodes(omniglot(), ways=5).sample(0, 2).support.x.shape == (2, 5, 1, 28, 28)


def test_the_splits_of_a_few_characters(little: Path) -> None:
    assert omniglot(rotations=False).split == ("train",) * 5 + ("test",)
    assert omniglot("alphabets", rotations=False).split == ("train",) * 3 + ("test",) * 3
    assert omniglot("lake", rotations=False).split == ("train", "train", "validation") + ("test",) * 3
    assert omniglot("lake").split == omniglot("lake", rotations=False).split * 4
    assert (
        _side("vinyals", "Hebrew/character22", False) == _side("alphabets", "Hebrew/character22", False) == "validation"
    )


@pytest.mark.parametrize("size", [8, 20, 105])
def test_other_sizes_are_averaged_from_the_original(little: Path, drawings: dict[str, np.ndarray], size: int) -> None:
    pool = omniglot(rotations=False, size=size)
    assert pool.x.shape == (120, 1, size, size)
    for row in (0, 77, 119):
        expected = averaged(drawings[CLASSES[row // 20]][row % 20], size)
        assert np.abs(pool.x[row, 0].numpy() - expected).max() <= 1


def test_what_cannot_be_asked_for(little: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'alphabets'"):
        omniglot("alphabet")  # type: ignore[arg-type]
    for size in (7, 106):
        with pytest.raises(UserError, match=f"size is {size}, but must be 8 to 105"):
            omniglot(size=size)
    with pytest.raises(BadFile, match="lacks 'Atlantean/character01'"):
        LakeRuns()


def test_a_missing_folder_says_what_to_do(own_places: Path) -> None:
    with pytest.raises(MissingData, match="quickstudy data fetch omniglot"):
        omniglot()
    with pytest.raises(MissingData, match="set QUICKSTUDY_DATA to a folder that holds omniglot/omniglot105_bits"):
        omniglot(size=32)


def test_files_that_are_something_else(little: Path) -> None:
    path = little / "omniglot28.npz"
    good = dict(np.load(path))
    changes = [
        ({"images": good["images"][:-1]}, "is not Omniglot as it is kept here"),
        ({"images": good["images"].astype(np.float32)}, "is not Omniglot as it is kept here"),
        ({"class_id": good["class_id"][::-1]}, "is not Omniglot as it is kept here"),
        ({"class_name": np.array([*CLASSES[:-1], "Klingon/character01"])}, "no character 'Klingon/character01'"),
        ({"class_name": np.array([*CLASSES[:-1], "?"])}, r"no character '\?'"),
        ({"class_name": np.array([*CLASSES[:-1], {}], dtype=object)}, "cannot be read"),  # a pickle
    ]
    for change, message in changes:
        np.savez(path, **(good | change))
        with pytest.raises(BadFile, match=message):
            omniglot()
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(BadFile, match="cannot be read"):
        omniglot()


@pytest.mark.data
def test_the_real_pool_is_the_published_one(real: Path) -> None:
    with np.load(real / "omniglot28.npz", allow_pickle=False) as file:
        z = dict(file)
    names = tuple(z["class_name"].tolist())
    expected = Pool(
        "omniglot",
        torch.from_numpy(z["images"])[:, None],
        torch.from_numpy(z["class_id"].astype("int64")),
        names,
        tuple(name.split("/")[0] for name in names),
        tuple(SPLITS[side] for side in z["vinyals_split"]),
    ).rotated()
    pool = omniglot()
    assert pool.name == expected.name == "omniglot+rotations"
    assert pool.classes == expected.classes
    assert pool.groups == expected.groups
    assert pool.split == expected.split
    assert torch.equal(pool.y, expected.y)
    assert torch.equal(pool.x, expected.x)
    assert torch.equal(pool.origin, expected.origin)  # type: ignore[arg-type]


@pytest.mark.data
def test_the_real_splits_have_the_published_sizes(real: Path) -> None:
    counts = {"vinyals": [1028, 172, 423], "vinyals-1200": [1200, 0, 423], "alphabets": [792, 172, 659]}
    counts["lake"] = [854, 110, 659]
    shared = {"vinyals": {"Gurmukhi"}, "vinyals-1200": {"Gurmukhi"}, "alphabets": set(), "lake": set()}
    for split, expected in counts.items():
        pool = omniglot(split, rotations=False)  # type: ignore[arg-type]
        assert [len(pool.members(side)) for side in SPLITS] == expected
        alphabets = {side: {pool.groups[c] for c in pool.members(side).tolist()} for side in SPLITS}
        assert len(set().union(*alphabets.values())) == 50
        assert alphabets["train"] & alphabets["test"] == shared[split]
        assert not alphabets["validation"] & alphabets["test"]


@pytest.mark.data
def test_lakes_runs_are_the_official_ones(real: Path) -> None:
    with np.load(real / "omniglot28.npz", allow_pickle=False) as file:
        support, query, label = file["lake_support"], file["lake_query"], file["lake_label"]
    runs = LakeRuns()
    tasks = runs.sample(0, 20)
    assert tasks.origin is not None
    assert np.array_equal(tasks.origin.support, support)
    assert np.array_equal(tasks.origin.query, query)
    assert np.array_equal(tasks.query.y, label)
    check_task(take(tasks, 3))
    assert torch.equal(runs.sample(5, 2).query.x, tasks.query.x[5:7])
    assert runs.manifest(20, batch=7) == runs.replaced(seed=5).manifest(20)
    assert runs.protocol == {"source": "omniglot-lake", "ways": 20, "shots": 1, "queries": 1}
    a, b = (torch.nn.functional.normalize(side.x.flatten(2), dim=2) for side in (tasks.query, tasks.support))
    accuracy = ((a @ b.mT).argmax(2) == tasks.query.y).float().mean()
    assert accuracy == pytest.approx(0.2175, abs=1e-6)  # the nearest pixels, as data/omniglot/README.md has it
    assert LakeRuns(size=20).sample(0, 1).query.x.shape == (1, 20, 1, 20, 20)
    with pytest.raises(UserError, match="20, numbered from 0; 5 from number 16 on"):
        runs.sample(16, 5)
    with pytest.raises(UserError, match="have no train split"):
        _ = runs.train
    with pytest.raises(UserError, match="20-way with one support"):
        runs.replaced(shots=5)
    lake, asked = omniglot("lake", rotations=False), set(tasks.origin.classes.flatten().tolist())  # type: ignore[union-attr]
    assert asked <= set(lake.members("test").tolist())
    vinyals = omniglot(rotations=False)
    assert len({vinyals.groups[c] for c in asked & set(vinyals.members("train").tolist())}) == 4


@pytest.mark.data
def test_the_real_files_are_whole_and_convert_as_the_official_ones_do(real: Path, tmp_path: Path) -> None:
    assert named.verify("omniglot") == real
    with np.load(real / "omniglot105_bits.npz", allow_pickle=False) as file:
        z = dict(file)
    bits = np.unpackbits(z["images_packed"], axis=1, count=105 * 105).reshape(-1, 105, 105)
    names, rows, archives = z["class_name"].tolist(), [], []
    for number, side in enumerate(("images_background", "images_evaluation")):
        archives.append(tmp_path / f"{side}.zip")
        with zipfile.ZipFile(archives[-1], "w") as archive:
            for c in np.flatnonzero(z["class_set"] == number)[::40].tolist():
                rows += list(range(20 * c, 20 * c + 20))
                for row in rows[-20:]:
                    content = io.BytesIO()
                    Image.fromarray(bits[row] == 0).save(content, "PNG")
                    name = f"{side}/{names[c]}/{z['class_orig_id'][c]:04d}_{row % 20 + 1:02d}.png"
                    archive.writestr(name, content.getvalue())
    with np.load(io.BytesIO(convert(archives)["omniglot28.npz"])) as made, np.load(real / "omniglot28.npz") as given:
        assert np.array_equal(made["images"], given["images"][rows])
        assert made["class_name"].tolist() == given["class_name"][[r // 20 for r in rows[::20]]].tolist()
