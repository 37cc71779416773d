"""Omniglot (Lake et al. 2015, doi:10.1126/science.aab3050): 1,623 characters of 50 alphabets, by 20 people each."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from ...errors import BadFile, UnknownName, UserError
from ...task import Examples, Origin, Task
from ..pool import Pool
from ..source import TaskSource
from .download import Progress, read_archive, read_arrays
from .named import class_lists, find

DRAWERS = 20
SIDE = 105  # pixels of a side of the original drawings
HELD_OUT = 8  # the split 'lake' keeps every eighth character of a background alphabet for validation
PARTITIONS = ("vinyals", "vinyals-1200", "alphabets", "lake")
_MEMBER = re.compile(r"images_(background|evaluation)/([^/]+/character\d\d)/\d+_(\d\d)\.png")


def omniglot(
    partition: Literal["vinyals", "vinyals-1200", "alphabets", "lake"] = "vinyals",
    *,
    rotations: bool = True,
    size: int = 28,
) -> Pool:
    """Omniglot as a pool: class i is rows 20i to 20i + 19, its group is its alphabet, ink is 255.

    Unlike `glyphs` it was drawn by people and has to be fetched.

    Args:
        partition: 'vinyals' is the one of the literature: 1,028, 172 and 423 characters, where training and test share
            one alphabet (Gurmukhi). 'vinyals-1200' trains on its 1,200 training and validation characters together, as
            the published prototypical networks do, and leaves nothing to validate on. 'alphabets' shares none: 25
            background alphabets to train (792 characters), the 5 that 'vinyals' validates on too (172), and the 20
            evaluation alphabets to test (659). 'lake' is the task of Lake et al.: all 30 background alphabets to train
            (854 characters), but every eighth character of each to validate (110), and the 20 evaluation alphabets.
        rotations: each class four times, turned by 0, 90, 180 and 270 degrees, after splitting.
        size: pixels of a side, 8 to 105; each is the mean of the original pixels in its area.

    Returns:
        x (32460, 1, size, size) uint8; four times as many with rotations, and the name 'omniglot+rotations'.

    Raises:
        MissingData: it is not on this machine; the message says how to get it.
        BadFile: the file is damaged, or is not Omniglot.
        UnknownName: no such partition.

    Source: the partition 'vinyals' as in github.com/jakesnell/prototypical-networks (MIT).

    >>> omniglot("alphabets").name  # doctest: +SKIP
    'omniglot+rotations'
    """
    if partition not in PARTITIONS:
        raise UnknownName.among("partition of omniglot", partition, PARTITIONS)
    images, names, sets = _read(size)
    pool = Pool(
        name="omniglot",
        x=torch.from_numpy(images)[:, None],
        y=torch.arange(len(names)).repeat_interleave(DRAWERS),
        classes=names,
        groups=tuple(name.split("/")[0] for name in names),
        split=tuple(_side(partition, name, evaluation) for name, evaluation in zip(names, sets, strict=True)),
    )
    return pool.rotated() if rotations else pool


class LakeRuns(TaskSource):
    """The 20 published runs of 20-way one-shot classification, by which people (95.5 %) and machines were compared.

    Unlike episodes they are fixed: a seed changes nothing, there are 20, and all are test tasks. Support and query of a
    run are two drawers of one evaluation alphabet, so train on `omniglot("lake")` or `omniglot("alphabets")`: the
    partition 'vinyals' trains on four of the ten alphabets asked for here, and would flatter a learner.

    Args:
        size: pixels of a side of the images.

    Returns:
        Tasks with x (T, 20, 1, size, size) of 0..1, one example a class on either side.

    Raises:
        MissingData: Omniglot is not on this machine.
        UserError: another split than 'test', or a run beyond the 20th.

    Source: Lake et al. 2015; github.com/brendenlake/omniglot, python/one-shot-classification/all_runs.zip.

    >>> LakeRuns().sample(first=0, count=20).query.x.shape  # doctest: +SKIP
    torch.Size([20, 20, 1, 28, 28])
    """

    kind = "classification"

    def __init__(self, *, size: int = 28):
        self.name, self.split, self.seed, self.size = "omniglot-lake", "test", 0, size
        self.ways, self.shots, self.queries = 20, 1, 1
        self.prepare()

    def prepare(self) -> None:
        if self.split != "test":
            raise UserError(f"Lake's runs are test tasks and have no {self.split} split; train on omniglot('lake').")
        if (self.ways, self.shots, self.queries) != (20, 1, 1):
            raise UserError("Lake's runs are 20-way with one support and one query example a class, and nothing else.")
        images, names, _ = _read(self.size)
        number = {name: i for i, name in enumerate(names)}
        runs = class_lists("omniglot_lake.json")["runs"]
        wanted = [[f"{run['alphabet']}/character{c:02d}" for c in run["characters"]] for run in runs]
        lacking = {name for row in wanted for name in row} - set(names)
        if lacking:
            raise BadFile(f"This copy of Omniglot lacks '{min(lacking)}', which Lake's runs ask for; fetch it again.")
        self._classes = torch.tensor([[number[name] for name in row] for row in wanted])
        self._labels = torch.tensor([run["labels"] for run in runs])
        drawers = torch.tensor([[run["support_drawer"], run["query_drawer"]] for run in runs]) - 1
        self._support = self._classes * DRAWERS + drawers[:, :1]
        self._query = self._classes.gather(1, self._labels) * DRAWERS + drawers[:, 1:]
        self._images = torch.from_numpy(images)[:, None]

    @property
    def protocol(self) -> dict[str, Any]:
        return {"source": self.name, "ways": self.ways, "shots": self.shots, "queries": self.queries}

    def sample(self, first: int, count: int) -> Task:
        if first < 0 or first + count > len(self._labels):
            raise UserError(
                f"Lake's runs are {len(self._labels)}, numbered from 0; {count} from number {first} on were asked for."
            )
        span = slice(first, first + count)
        support, query = self._support[span], self._query[span]
        own = torch.arange(self.ways).expand(count, -1)
        x = [self._images[rows].to(torch.float32).div_(255) for rows in (support, query)]
        sides = Examples(x[0], own, ways=self.ways), Examples(x[1], self._labels[span], ways=self.ways)
        return Task(*sides, origin=Origin(support, query, self._classes[span]))


def convert(archives: Sequence[Path], progress: Progress | None = None) -> dict[str, bytes]:
    """The official archives as the two files that are read here: 28-pixel images, and the originals as bits.

    Rows are sorted by set (background, evaluation), class name and drawer, and so do not depend on the archives' order.

    Raises:
        BadFile: an archive or picture is damaged, or a class does not have its 20 drawings.
    """
    drawings = dict(sorted(_drawings(archives, progress), key=lambda item: item[0]))
    classes = sorted({key[:2] for key in drawings})
    if list(drawings) != [(*key, drawer) for key in classes for drawer in range(1, DRAWERS + 1)] or not classes:
        raise BadFile(
            f"Omniglot has {DRAWERS} drawings of each character, but {', '.join(map(str, archives))} hold"
            f" {len(drawings)} of {len(classes)} characters."
        )
    bits = np.stack(list(drawings.values()))
    rows: dict[str, np.ndarray] = {
        "class_id": (np.arange(len(bits)) // DRAWERS).astype(np.int16),
        "drawer": (np.arange(len(bits)) % DRAWERS + 1).astype(np.uint8),
        "class_set": np.array([evaluation for evaluation, _ in classes], dtype=np.uint8),
        "class_name": np.array([name for _, name in classes]),
    }
    packed = np.packbits(bits.reshape(len(bits), -1), axis=1)
    return {
        "omniglot28.npz": _npz(images=_averaged(bits, 28), **rows),
        "omniglot105_bits.npz": _npz(images_packed=packed, shape=np.array([SIDE, SIDE]), **rows),
    }


def _drawings(
    archives: Sequence[Path], progress: Progress | None
) -> Iterator[tuple[tuple[bool, str, int], np.ndarray]]:
    """((whether of the evaluation set, class name, drawer), ink) of every drawing."""
    done = 0
    for archive in archives:
        for name, content in read_archive(archive):
            if match := _MEMBER.fullmatch(name):  # anything else is a read-me, or what an operating system left behind
                yield (match[1] == "evaluation", match[2], int(match[3])), _ink(archive, name, content)
                done += 1
                if progress is not None and done % 1000 == 0:
                    progress("converted drawings", done, 1623 * DRAWERS)


def _npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def _ink(archive: Path, name: str, content: bytes) -> np.ndarray:
    """(105, 105) of 0 and 1; in the pictures the ink is black on white."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.size != (SIDE, SIDE):
                raise ValueError(f"it has {picture.size} pixels, not {SIDE} a side")
            return (np.asarray(picture.convert("L")) < 128).astype(np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise BadFile(f"{name} in {archive} cannot be read as a drawing: {error}.") from error


def _averaged(bits: np.ndarray, size: int) -> np.ndarray:
    """(N, size, size) uint8, 255 where an area is all ink."""
    small = np.empty((len(bits), size, size), dtype=np.uint8)
    for row, drawing in enumerate(bits):
        picture = Image.fromarray(drawing * np.uint8(255))
        small[row] = np.asarray(picture.resize((size, size), Image.Resampling.BOX))
    return small


def _read(size: int) -> tuple[np.ndarray, tuple[str, ...], list[bool]]:
    """Images (N, size, size) uint8, the name of each class, and whether it is an evaluation class."""
    if not 8 <= size <= SIDE:
        raise UserError(f"Omniglot's drawings have {SIDE} pixels a side; size is {size}, but must be 8 to {SIDE}.")
    path = find("omniglot", "omniglot28.npz" if size == 28 else "omniglot105_bits.npz")
    key = "images" if size == 28 else "images_packed"
    arrays = read_arrays(path, key, "class_id", "class_name", "class_set")
    images, classes = arrays[key], len(arrays["class_name"])
    width = (28, 28) if size == 28 else (-(-SIDE * SIDE // 8),)
    ordered = np.array_equal(arrays["class_id"], np.arange(classes * DRAWERS) // DRAWERS)
    if images.dtype != np.uint8 or images.shape != (classes * DRAWERS, *width) or not ordered:
        raise BadFile(f"{path} is not Omniglot as it is kept here ({images.shape}); delete it and fetch it again.")
    if size != 28:
        images = _averaged(np.unpackbits(images, axis=1, count=SIDE * SIDE).reshape(-1, SIDE, SIDE), size)
    return images, tuple(arrays["class_name"].tolist()), arrays["class_set"].astype(bool).tolist()


def _side(partition: str, name: str, evaluation: bool) -> str:
    """Which split a class belongs to: by its name, so that the order of rows does not matter."""
    alphabet, _, digits = name.rpartition("/character")
    number = int(digits) if digits.isdecimal() else 0
    vinyals = class_lists("omniglot_vinyals.json")
    if partition.startswith("vinyals"):
        for side in ("train", "validation", "test"):
            first, last = vinyals[side].get(alphabet, (1, 0))
            if first <= number <= last:
                return "train" if side == "validation" and partition == "vinyals-1200" else side
        raise BadFile(f"Omniglot has no character '{name}', but the file here does; delete it and fetch it again.")
    if evaluation:
        return "test"
    if partition == "alphabets":
        return "validation" if alphabet in vinyals["validation"] else "train"
    return "validation" if number % HELD_OUT == 0 else "train"
