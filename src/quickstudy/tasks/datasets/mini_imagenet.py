"""miniImageNet (Vinyals et al. 2016, arXiv:1606.04080), as split by Ravi and Larochelle (openreview rJY0-Kcll)."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import secrets
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...errors import BadFile, MissingData, QuickstudyError
from ...storage import cache_folder
from ..images import SUFFIXES
from ..pool import Pool
from .download import Progress
from .named import class_lists, data_folder

SIDE = 84  # pixels of a side
EACH = 600  # images of a class
BLOCK = 500  # images that are resized before they are written
VERSION = 1  # raise it with any change that moves a pixel: it is part of the cache file's name
SHORT = {"train": "train", "validation": "val", "test": "test"}  # what the published files call the sides

LAYOUTS = (
    "train.csv, val.csv, test.csv and images/ as Ravi and Larochelle hand them out"
    " (github.com/twitter-research/meta-learning-lstm has the three lists); or train/, val/ and test/ with a folder of"
    " images for each class, such as train/n01532829/; or the 100 class folders alone"
)


def mini_imagenet(folder: str | None = None) -> Pool:
    """100 classes of ImageNet, 64, 16 and 20 of them to train, validate and test; 600 images of each, 84 x 84 pixels.

    Unlike `cifar_fs` it cannot be fetched: the images are ImageNet's. The folder is laid out as its authors did, with
    class folders in train, val and test, or with class folders alone; the published list decides the split in all of
    them. The first call resizes the images (minutes; `prepare` tells how far it is) and keeps them in `cache_folder()`,
    1.3 GB, until something in the folder changes. A task reads the rows that it needs.

    Args:
        folder: the folder; without one, mini-imagenet in the folder that QUICKSTUDY_DATA names.

    Returns:
        x (60000, 3, 84, 84) uint8, a view of the file; classes are WordNet ids, each its own group.

    Raises:
        MissingData: no such folder, or nothing of it in there; the message says how to lay it out.
        BadFile: classes or images are missing, too many, on another side than published, or broken.

    Source: resized with Lanczos' filter, without regard to the aspect, as in data/miniImagenet/proc_images.py of
    github.com/cbfinn/maml. Published figures differ in this: Ravi and Larochelle's code averages bilinearly, and that
    of Reptile takes Pillow's default. Images that have 84 x 84 pixels already are taken as they are.

    >>> mini_imagenet("/data/mini-imagenet").x.shape  # doctest: +SKIP
    torch.Size([60000, 3, 84, 84])
    """
    side = _sides()
    classes = tuple(sorted(side))
    return Pool(
        name="mini-imagenet",
        # Copies what is written to, and so is as good as read-only; torch warns of what it cannot write to.
        x=torch.from_numpy(np.load(prepare(folder), mmap_mode="c")),
        y=torch.arange(len(classes)).repeat_interleave(EACH),
        classes=classes,
        groups=classes,
        split=tuple(side[name] for name in classes),
    )


def prepare(folder: str | None = None, *, progress: Progress | None = None) -> Path:
    """Resize the images of a folder unless that was done before; the file, (60000, 3, 84, 84) uint8 as .npy.

    Raises:
        MissingData, BadFile: as `mini_imagenet`.
        QuickstudyError: the cache folder cannot be written to.
    """
    own = data_folder()
    if folder is not None:
        place = Path(folder).expanduser().absolute()
    elif own is not None:
        place = own / "mini-imagenet"
    else:
        raise MissingData(
            "miniImageNet's images are those of ImageNet (image-net.org, for researchers, after registration), so it"
            f" cannot be fetched. Lay it out as a folder mini-imagenet with {LAYOUTS}. Then set QUICKSTUDY_DATA to the"
            " folder around it, or name it: folder = ..."
        )
    images = _listed(place)
    path = _cache_file(place, images)
    if not _is_whole(path, len(images)):
        _write(path, images, progress)
    return path


def _sides() -> dict[str, str]:
    """WordNet id -> 'train', 'validation' or 'test', as published."""
    lists = class_lists("mini_imagenet.json")
    return {name: side for side in SHORT for name in lists[side]}


def _listed(folder: Path) -> list[Path]:
    """Every image, by class and name, once the classes, their sides and their numbers are those that were published."""
    found: dict[str, set[Path]] = defaultdict(set)
    told: dict[str, set[str]] = defaultdict(set)
    for side, name, image in _entries(folder):
        found[name].add(image)
        told[name].add(side)
    if not found:
        raise MissingData(f"There is no miniImageNet in {folder}; lay it out with {LAYOUTS}.")
    sides = _sides()
    problems = {
        "lacks": [name for name in sides if name not in found],
        "holds what is no class of it:": [name for name in found if name not in sides],
        "has another split than the published one:": [
            f"{name} in {SHORT[other]} instead of {SHORT[sides[name]]}"
            for name in told
            for other in sorted(told[name] - {"", sides.get(name, "")})
            if name in sides
        ],
        f"does not have {EACH} images of a class:": [
            f"{len(found[name])} of {name}" for name in found if len(found[name]) != EACH
        ],
    }
    for what, names in problems.items():
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise BadFile(
                f"{folder} is not miniImageNet: it {what} {', '.join(sorted(names)[:3])}{more}. It has {EACH} images of"
                f" each of 100 classes; lay it out with {LAYOUTS}."
            )
    return [image for name in sorted(found) for image in sorted(found[name])]


def _entries(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """(side or '', class, image) of all that the folder says it holds."""
    tables = {side: folder / f"{short}.csv" for side, short in SHORT.items()}
    if any(table.is_file() for table in tables.values()):
        for side, table in tables.items():
            yield from ((side, label, folder / "images" / file) for file, label in _rows(table))
        return
    for side, place in [("", folder), *((side, folder / short) for side, short in SHORT.items())]:
        for kind in place.glob("n" + "[0-9]" * 8):
            for image in kind.iterdir() if kind.is_dir() else ():
                if image.suffix.lower() in SUFFIXES and not image.name.startswith("."):
                    yield side, kind.name, image


def _rows(table: Path) -> list[tuple[str, str]]:
    """(file name, class) of every line under the heading."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return [(row["filename"], row["label"]) for row in csv.DictReader(file, strict=True)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise BadFile(
            f"{table} cannot be read as a list of images ({error!r}); its first line is filename,label, and there are"
            " three of them: train.csv, val.csv and test.csv."
        ) from error


def _cache_file(folder: Path, images: list[Path]) -> Path:
    """Where the resized images are kept; the name changes with the name, size or time of any image."""
    digest = hashlib.sha256(repr((VERSION, SIDE)).encode())
    for image in images:
        try:
            facts = image.stat()
        except OSError as error:
            raise BadFile(f"{image} cannot be found ({error.strerror}), but belongs to miniImageNet.") from error
        name = image.relative_to(folder).as_posix()
        digest.update(repr((name, facts.st_size, facts.st_mtime_ns)).encode())
    return cache_folder() / f"mini-imagenet-{digest.hexdigest()[:20]}.npy"


def _is_whole(path: Path, count: int) -> bool:
    try:
        held = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return held.shape == (count, 3, SIDE, SIDE) and held.dtype == np.uint8


def _write(path: Path, images: list[Path], progress: Progress | None) -> None:
    """Resize and write, a block at a time; the file gets its name when it is whole."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    heading = {"descr": "|u1", "fortran_order": False, "shape": (len(images), 3, SIDE, SIDE)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file, ThreadPoolExecutor() as threads:  # Pillow works outside the interpreter's lock
            np.lib.format.write_array_header_1_0(file, heading)
            for start in range(0, len(images), BLOCK):
                # Written, not mapped: a full disk is then an error, and not the end of the process.
                file.writelines(threads.map(_pixels, images[start : start + BLOCK]))
                if progress is not None:
                    progress("resized images", min(start + BLOCK, len(images)), len(images))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise QuickstudyError(f"Could not save {path} (1.3 GB): {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _pixels(path: Path) -> bytes:
    """The red, green and blue plane of an image of any size and mode."""
    try:
        with Image.open(path) as image:
            plain = image.convert("RGB")
            if plain.size != (SIDE, SIDE):
                plain = plain.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            return np.asarray(plain).transpose(2, 0, 1).tobytes()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadFile(f"{path} cannot be read as a picture: {error}. Put the original there again.") from error
