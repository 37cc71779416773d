"""Images in folders: class/image, or task/class/image."""

from __future__ import annotations

import dataclasses
import functools
import os
import stat
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import BadFile, NotEnoughExamples
from ..checked.findings import settled
from ..images import MOST_PIXELS, NOT_READ
from .rows import Dropped, Rows

SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test"}
TAIL = 1 << 16  # bytes at the end of a JPEG in which its end is looked for first


def read_images(folder: str | Path, *, most_pixels: int = MOST_PIXELS) -> Rows:
    """The images in a folder of folders: `class/image`, or `task/class/image`, found from how deep they lie.

    Nothing is decoded; but every file is opened, and those that are broken or too large are left out and listed.

    Args:
        folder: the outermost of them.
        most_pixels: images with more are left out.

    Raises:
        BadFile: there is no such folder, or its images do not lie in folders of classes.
        NotEnoughExamples: there is no image that can be read, or fewer than two classes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadFile(f"{folder} {'is a file' if folder.exists() else 'does not exist'}; images lie in a folder.")
    found, dropped = images_below(folder)
    if not found:
        seen = f"; {' and '.join(f'{d.count:,} {d.reason}' for d in dropped)}" if dropped else ""
        raise NotEnoughExamples(f"{folder} holds no image{seen}. Images lie in {folder}/CLASS or {folder}/TASK/CLASS.")
    found, top, notes = _below_the_only_folder(found)
    depth = _depth(folder, found)
    astray = [p for p in found if len(p) != depth]
    if astray:
        dropped.append(Dropped.of(f"images not {depth - 1} folders deep as most are", ["/".join(p) for p in astray]))
    parts = sorted(p for p in found if len(p) == depth)
    layout = "task/class/image" if depth == 3 else "class/image, so tasks are drawn from the classes"
    rows = Rows(
        name=folder.resolve().name,
        modality="image",
        inputs=[folder.joinpath(*top, *p) for p in parts],
        labels=np.array([p[-2] for p in parts]),
        kind="classification",
        tasks=np.array([p[0] for p in parts]) if depth == 3 else None,
        dropped=tuple(dropped),
        notes=(f"folders are read as {layout}", *notes, *_like_splits(parts)),
    )
    return settled(verified(rows, most_pixels=most_pixels, below=folder))


def verified(rows: Rows, *, most_pixels: int = MOST_PIXELS, below: Path | None = None) -> Rows:
    """The rows whose image can be opened, as far as that can be told without decoding; the others are listed.

    Args:
        most_pixels: images with more are left out.
        below: the folder from which paths are named.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about damage that is none or that is found below
        faults = [_fault(path, most_pixels) for path in rows.inputs]
    paths = list(rows.inputs)
    dropped = [
        Dropped.of(
            reason, [p.relative_to(below) if below else p for p, f in zip(paths, faults, strict=True) if f == reason]
        )
        for reason in sorted(set(faults) - {""})
    ]
    if dropped:
        rows = dataclasses.replace(rows, dropped=(*rows.dropped, *dropped))
    return rows[np.array([not fault for fault in faults], dtype=bool)] if dropped else rows


@functools.cache
def _formats() -> tuple[frozenset[str], tuple[str, ...]]:
    """The endings of files that are opened, and the formats that are tried."""
    endings = {e: f for e, f in Image.registered_extensions().items() if f in Image.OPEN and f not in NOT_READ}
    return frozenset(endings), tuple(sorted(set(endings.values())))


def images_below(folder: Path) -> tuple[list[tuple[str, ...]], list[Dropped]]:
    """Where below the folder images lie, by their ending, and what else there is."""
    images: list[tuple[str, ...]] = []
    hidden: list[str] = []
    others: list[str] = []
    shut: list[str] = []
    endings, _ = _formats()
    for parts in _files(folder, shut):
        if any(part.startswith((".", "__MACOSX")) or part in ("Thumbs.db", "desktop.ini") for part in parts):
            hidden.append("/".join(parts))
        elif os.path.splitext(parts[-1])[1].lower() in endings:  # noqa: PTH122 - for each of many files
            images.append(parts)
        else:
            others.append("/".join(parts))
    named = {
        "folders that cannot be opened": shut,
        "hidden files": hidden,
        "files that are no images by their ending": others,
    }
    return images, [Dropped.of(reason, sorted(files)) for reason, files in named.items() if files]


def _files(folder: Path, shut: list[str]) -> Iterator[tuple[str, ...]]:
    """The parts of each file's path below the folder; links are followed, but never twice to one place.

    Folders that cannot be opened are added to `shut`.
    """
    seen = set()
    for where, folders, files in os.walk(folder, onerror=lambda e: shut.append(str(e.filename)), followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        parts = Path(where).relative_to(folder).parts
        yield from ((*parts, name) for name in files)


def _below_the_only_folder(found: list[tuple[str, ...]]) -> tuple[list[tuple[str, ...]], tuple[str, ...], list[str]]:
    """Paths without the folder that all share: a folder around everything is no task and no class."""
    top: tuple[str, ...] = ()
    while all(len(p) > 2 for p in found) and len({p[0] for p in found}) == 1:
        top, found = (*top, found[0][0]), [p[1:] for p in found]
    return found, top, [f"'{'/'.join(top)}' holds everything, and counts neither as task nor as class"] if top else []


def _depth(folder: Path, found: Sequence[tuple[str, ...]]) -> int:
    """How many parts most paths have: 2 for class/image, 3 for task/class/image."""
    depth, count = Counter(map(len, found)).most_common(1)[0]
    if depth not in (2, 3):
        lies = "in no folder of a class" if depth == 1 else f"{depth - 1} folders deep"
        raise BadFile(
            f"{count:,} of {len(found):,} images in {folder} lie {lies} ('{'/'.join(found[0])}'). Put each into a"
            " folder that is called as its class: CLASS/image, or TASK/CLASS/image."
        )
    return depth


def _like_splits(parts: Sequence[tuple[str, ...]]) -> list[str]:
    names = sorted({p[0] for p in parts})
    if not {name.lower() for name in names} <= SPLITS:
        return []
    what = "tasks" if len(parts[0]) == 3 else "classes"
    return [
        f"the {what} are called {', '.join(names)}, like parts of a split; give one of these folders, or merge them"
    ]


def _fault(path: Path, most_pixels: int) -> str:
    """Why an image cannot be used; '' if it can, as far as its header, checksums and end tell."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # opening a pipe would wait for ever
            return "images that are no files"
        if not about.st_size:
            return "images of zero bytes"
        with Image.open(path, formats=_formats()[1]) as image:
            width, height = image.size
            if width * height > most_pixels:
                return f"images of more than {most_pixels:,} pixels"
            jpeg = image.format == "JPEG"
            image.verify()
        return "images that are cut off" if jpeg and not _ends(path) else ""
    except Image.DecompressionBombError:
        return f"images of more than {most_pixels:,} pixels"
    except FileNotFoundError:
        return "images that are not there"
    except PermissionError:
        return "images that this user may not read"
    except Exception:  # Pillow's readers raise almost anything on damaged files
        return "images that are broken, or none"


def _ends(path: Path) -> bool:
    """Whether a JPEG has its last marker, which Pillow looks for only when it decodes."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - TAIL, 0))
        if b"\xff\xd9" in file.read() and size > TAIL:
            return True
        file.seek(0)
        content = file.read()
    at = 2
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] != b"\xda":  # segment by segment to the scan:
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")  # a small picture inside has an end of its own
    return content.find(b"\xff\xd9", at) > 0
