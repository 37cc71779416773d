"""CIFAR-FS and FC100: the official format is read to the byte, and the splits are those of the literature."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from quickstudy.errors import BadFile, MissingData, UnknownName
from quickstudy.evaluation.audit import audit
from quickstudy.recipe import Recipe
from quickstudy.task import Examples
from quickstudy.tasks.datasets import named
from quickstudy.tasks.datasets.cifar_fs import RECORD, cifar_fs, convert
from quickstudy.tasks.datasets.download import read_archive
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import SPLITS

LISTS = named.class_lists("cifar100.json")
HOME = {name: group for group, names in LISTS["superclasses"].items() for name in names}
CLASSES, GROUPS = sorted(HOME), sorted(LISTS["superclasses"])
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("cifar-fs-*.toml"))


def records(each: int, seed: int, leave_out: str = "") -> bytes:
    """Images of noise in the official layout, classes shuffled: superclass, class, then three planes of 32 x 32."""
    rng = np.random.default_rng(seed)
    rows = []
    for name in rng.permutation(CLASSES * each).tolist():
        if name != leave_out:
            labels = bytes([GROUPS.index(HOME[name]), CLASSES.index(name)])
            rows.append(labels + rng.integers(256, size=3 * 32 * 32, dtype=np.uint8).tobytes())
    return b"".join(rows)


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture(scope="module")
def halves() -> dict[str, bytes]:
    """Two images a class for training, one for test."""
    return {"train.bin": records(2, seed=0), "test.bin": records(1, seed=1)}


@pytest.fixture
def little(halves: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data" / "cifar-100"
    folder.mkdir(parents=True)
    for file, content in halves.items():
        (folder / file).write_bytes(content)
    monkeypatch.setenv("QUICKSTUDY_DATA", str(folder.parent))
    monkeypatch.setenv("QUICKSTUDY_CACHE", str(tmp_path / "cache"))
    return folder


def test_the_published_lists() -> None:
    assert len(CLASSES) == 100
    assert [len(names) for names in LISTS["superclasses"].values()] == [5] * 20
    assert [len(LISTS["cifar-fs"][side]) for side in SPLITS] == [64, 16, 20]
    assert [len(LISTS["fc100"][side]) for side in SPLITS] == [12, 4, 4]
    for partition, names in (("cifar-fs", CLASSES), ("fc100", GROUPS)):
        assert sorted(name for side in SPLITS for name in LISTS[partition][side]) == names  # each once


def test_the_archive_is_unpacked_as_it_is(halves: dict[str, bytes], tmp_path: Path) -> None:
    entries = {f"cifar-100-binary/{name}": content for name, content in halves.items()}
    path = archive(tmp_path / "cifar-100-binary.tar.gz", {**entries, "cifar-100-binary/fine_label_names.txt": b"apple"})
    assert convert([path]) == halves
    with pytest.raises(BadFile, match=r"holds no test\.bin, and is not the binary version"):
        convert([archive(tmp_path / "b.tar.gz", {"cifar-100-binary/train.bin": b""})])


def test_the_pool(little: Path, halves: dict[str, bytes]) -> None:
    pool = cifar_fs()
    assert pool.name == "cifar-fs"
    assert pool.x.shape == (300, 3, 32, 32)
    assert pool.x.dtype == torch.uint8
    assert pool.classes[:3] == ("apple", "aquarium_fish", "baby")
    assert pool.groups[:3] == ("fruit_and_vegetables", "fish", "people")
    assert [len(pool.members(side)) for side in SPLITS] == [64, 16, 20]
    assert pool.split[CLASSES.index("wolf")] == "train"
    assert pool.split[CLASSES.index("leopard")] == "test"
    content = halves["train.bin"] + halves["test.bin"]
    for row, channel, i, j in ((0, 0, 0, 0), (7, 1, 3, 30), (299, 2, 31, 5)):
        start = row * RECORD
        assert pool.y[row] == content[start + 1]
        assert pool.x[row, channel, i, j] == content[start + 2 + 1024 * channel + 32 * i + j]
    assert Episodes(pool, ways=5, shots=1, queries=2).sample(0, 2).query.x.shape == (2, 10, 3, 32, 32)


def test_fc100_shares_no_superclass_and_cifar_fs_says_that_it_does(little: Path) -> None:
    pool = cifar_fs("fc100")
    assert pool.name == "fc100"
    assert [len(pool.members(side)) for side in SPLITS] == [60, 20, 20]
    sides = [{pool.groups[c] for c in pool.members(side).tolist()} for side in SPLITS]
    assert not sides[0] & sides[1] and not sides[1] & sides[2] and not sides[0] & sides[2]
    assert len(set().union(*sides)) == 20
    for partition, leaks in (("cifar-fs", {"groups on two sides"}), ("fc100", set())):
        found = audit(None, Episodes(cifar_fs(partition), shots=1, queries=1).test, tasks=4)  # type: ignore[arg-type]
        assert {finding.name for finding in found.leaks} == leaks


def test_what_cannot_be_asked_for(own_places: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'cifar-fs'"):
        cifar_fs("cifarfs")  # type: ignore[arg-type]
    with pytest.raises(MissingData, match=r"needs train\.bin: .* Run `quickstudy data fetch cifar-100` \(169 MB"):
        cifar_fs()


def test_files_that_are_something_else(little: Path, halves: dict[str, bytes]) -> None:
    good, path = halves["test.bin"], little / "test.bin"
    coarse, fine = good[0], good[1]
    changes = [
        (b"", "has 0 bytes"),
        (good[:-1], f"has {len(good) - 1:,} bytes, which are no whole number of images of 3,074"),
        (bytes([(coarse + 1) % 20]) + good[1:], f"image 0 has the class {fine} and the superclass {(coarse + 1) % 20}"),
        (bytes([coarse, 100 + fine]) + good[2:], f"image 0 has the class {100 + fine} and"),
    ]
    for content, message in changes:
        path.write_bytes(content)
        with pytest.raises(BadFile, match=message):
            cifar_fs()
    path.write_bytes(records(1, 1, leave_out="worm"))
    (little / "train.bin").write_bytes(records(1, 0, leave_out="worm"))
    with pytest.raises(BadFile, match=r"hold no image of 'worm' \(1 of 100 classes"):
        cifar_fs()


def test_official_files_that_a_user_brings_are_known_by_their_hash(
    little: Path, halves: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadFile, match=r"train\.bin is not cifar-100 .* of it is md5:\w{32}, expected md5:6172c7755"):
        named.verify("cifar-100")
    known = {file: ("", f"md5:{hashlib.md5(content).hexdigest()}") for file, content in halves.items()}
    monkeypatch.setitem(named.CATALOGUE, "cifar-100", dataclasses.replace(named.CIFAR_100, content=known))
    assert named.verify("cifar-100") == little


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_fit_the_images(path: Path) -> None:
    recipe = Recipe.read(path)
    learner, x = recipe.make_learner().eval(), torch.rand(5, 3, 32, 32)
    learner.test_steps = 1  # type: ignore[assignment]
    state = learner.adapt(Examples(x, torch.arange(5), ways=5))
    assert learner.predict(state, x).shape == (5, 5)


def test_a_tar_is_read_with_suspicion(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", {"b/2": b"two" * 1000, "a": b"one"})
    assert list(read_archive(path)) == [("a", b"one"), ("b/2", b"two" * 1000)]
    with pytest.raises(BadFile, match="at least 2 files and 3,003 bytes; at most 1 files"):
        list(read_archive(path, most_files=1))
    with pytest.raises(BadFile, match=r"at least 1 files and 3,000 bytes; .* and 2,999 bytes are read"):
        list(read_archive(path, most_bytes=2999))
    with pytest.raises(BadFile, match="leads out of the folder"):
        list(read_archive(archive(tmp_path / "b.tar.gz", {"../evil": b"!"})))
    whole = path.read_bytes()
    for content in (b"", whole[:10], whole[: len(whole) // 2], b"?" + whole):
        path.write_bytes(content)
        with pytest.raises(BadFile, match="cannot be read as a tar archive"):
            list(read_archive(path))
    with tarfile.open(path, "w:gz") as file:  # a link may point anywhere, and is no content
        link = tarfile.TarInfo("passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    assert list(read_archive(path)) == []
