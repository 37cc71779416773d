"""Data about data: what collections of texts, images and files are like, before anything reads their content."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadExamples, BadFile
from ...rng import Rng, distinct
from .sample import largest, mean, spread

LOOKED_AT = 200  # at most, at random, of the texts and images whose content is read
SIDE = 256  # pixels of the longer side of an image when its content is looked at
DAY = 86400.0  # seconds


def describe_texts(texts: Sequence[str], *, rng: Rng | None = None) -> dict[str, float]:
    """Sizes and quality of some texts; shares are 0 to 1.

    log_texts: the natural logarithm of their number. words_mean, words_sd, words_most: their lengths in words, by which
    bags of words and long contexts differ. characters_per_word: high in compounds, codes and addresses. vocabulary: the
    share of the words that are different ones, low where topics are few. share_empty and share_repeated: texts without
    a word, and texts that came before. share_digits, share_upper, share_symbols and share_beyond_ascii: of the
    characters; noisy, shouted or marked-up text, and scripts other than Latin.

    Raises:
        BadExamples: no text.

    >>> found = describe_texts(["a red fox", "a red fox", ""])
    >>> found["words_mean"], round(found["share_repeated"], 2), found["vocabulary"]
    (2.0, 0.33, 0.5)
    """
    read = [texts[i] for i in _some(len(texts), "texts", rng)]
    words = [text.split() for text in read]
    together, whole = [word.lower() for line in words for word in line], "".join(read)
    lengths = [float(len(line)) for line in words]
    marks = {"digits": str.isdigit, "upper": str.isupper, "beyond_ascii": lambda c: not c.isascii()}
    found = {
        "log_texts": math.log(len(texts)),
        "words_mean": mean(lengths),
        "words_sd": spread(lengths),
        "words_most": largest(lengths),
        "characters_per_word": mean([len(word) for word in together]),
        "vocabulary": len(set(together)) / len(together) if together else math.nan,
        "share_empty": mean([not line for line in words]),
        "share_repeated": 1 - len(set(texts)) / len(texts),
        "share_symbols": _share(whole, lambda c: not c.isalnum() and not c.isspace()),
    }
    return found | {f"share_{name}": _share(whole, is_such) for name, is_such in marks.items()}


def describe_images(images: Sequence[Any], *, rng: Rng | None = None) -> dict[str, float]:
    """Sizes and quality of some images: paths, or arrays (height, width) or (height, width, channels) of 0 to 255.

    log_images: the natural logarithm of their number. log_pixels_mean, log_pixels_sd: of width times height; mixed
    sizes need resizing, which loses what is small. aspect_mean, aspect_sd: width over height, as a natural logarithm.
    share_colour: images that are not grey. brightness_mean, brightness_sd: of 0 to 1; one is dark where the other is
    overexposed. contrast_mean: the standard deviation of the brightness within an image. sharpness_mean: the natural
    logarithm of the variance of the Laplacian, low where images are blurred. edges_mean: the mean brightness of the
    border less that of the middle, which tells pictures on a white ground.

    Raises:
        BadExamples: no image, or an array of another shape.
        BadFile: a file that is no image.

    >>> found = describe_images([np.zeros((32, 64)), np.full((32, 64), 255.0)])
    >>> found["brightness_mean"], found["brightness_sd"], round(found["aspect_mean"], 3)
    (0.5, 0.5, 0.693)
    """
    rows = [_look(images[i]) for i in _some(len(images), "images", rng)]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        "log_images": math.log(len(images)),
        "log_pixels_mean": mean(columns["log_pixels"]),
        "log_pixels_sd": spread(columns["log_pixels"]),
        "aspect_mean": mean(columns["aspect"]),
        "aspect_sd": spread(columns["aspect"]),
        "share_colour": mean(columns["colour"]),
        "brightness_mean": mean(columns["brightness"]),
        "brightness_sd": spread(columns["brightness"]),
        "contrast_mean": mean(columns["contrast"]),
        "sharpness_mean": mean(columns["sharpness"]),
        "edges_mean": mean(columns["edges"]),
    }


def describe_files(paths: Sequence[str | Path]) -> dict[str, float]:
    """Number, sizes, kinds and dates of some files, from what the file system says of them.

    log_files: the natural logarithm of their number. log_bytes_mean, log_bytes_sd: of their sizes; for one kind of
    content, large ones are of higher quality. kinds: how many different endings. share_commonest_kind: of the files.
    folders: how many they stand in. days_span: from the oldest to the newest change. days_sd: the standard deviation of
    the dates, low where all were copied at once and dates say nothing.

    Raises:
        BadExamples: no file.
        BadFile: one is not there.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise BadExamples("There are no files to describe; give one at least.")
    try:
        about = [file.stat() for file in files]
    except OSError as error:
        raise BadFile(f"{error.filename} cannot be described: {error.strerror}.") from error
    kinds = [file.suffix.lower() for file in files]
    days = np.array([one.st_mtime / DAY for one in about])
    sizes = np.log1p([one.st_size for one in about])
    return {
        "log_files": math.log(len(files)),
        "log_bytes_mean": mean(sizes),
        "log_bytes_sd": spread(sizes),
        "kinds": float(len(set(kinds))),
        "share_commonest_kind": max(kinds.count(kind) for kind in set(kinds)) / len(kinds),
        "folders": float(len({file.parent for file in files})),
        "days_span": float(days.max() - days.min()),
        "days_sd": spread(days),
    }


def _some(count: int, what: str, rng: Rng | None) -> list[int]:
    if not count:
        raise BadExamples(f"There are no {what} to describe; give one at least.")
    if count <= LOOKED_AT:
        return list(range(count))
    uniform = (rng or Rng(0)).at(what).uniform(np.arange(1), 2 * LOOKED_AT)
    return sorted(distinct(uniform, np.array([count]))[0].tolist())


def _share(text: str, is_such: Callable[[str], bool]) -> float:
    return mean([float(is_such(character)) for character in text])


def _look(image: Any) -> dict[str, float]:
    """What one image is like."""
    pixels, (height, width) = _pixels(image)
    grey = pixels.mean(-1)
    laplacian = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
        if min(grey.shape) > 2
        else np.zeros((1, 1))
    )
    rim = np.ones(grey.shape, dtype=bool)
    rim[grey.shape[0] // 4 : -(grey.shape[0] // 4) or None, grey.shape[1] // 4 : -(grey.shape[1] // 4) or None] = False
    return {
        "log_pixels": math.log(width * height),
        "aspect": math.log(width / height),
        "colour": float(np.ptp(pixels, axis=-1).max() > 0),
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "sharpness": math.log(float(laplacian.var()) + 1e-8),
        "edges": mean(grey[rim]) - mean(grey[~rim]),
    }


def _pixels(image: Any) -> tuple[np.ndarray, tuple[int, int]]:
    """(height, width, channels) of 0 to 1, made smaller where it is large; and the sizes before that."""
    if isinstance(image, str | Path):
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(image) as opened:
                size = (opened.height, opened.width)
                opened.draft("RGB", (SIDE, SIDE))
                small = opened.convert("RGB")
                small.thumbnail((SIDE, SIDE))
                return np.asarray(small, dtype=np.float64) / 255, size
        except (OSError, UnidentifiedImageError) as error:
            raise BadFile(f"{image} cannot be read as a picture: {error}") from error
    array = np.asarray(image, dtype=np.float64)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or 0 in array.shape:
        raise BadExamples(f"An image of shape {np.shape(image)} is not (height, width) or (height, width, channels).")
    step = max(1, max(array.shape[:2]) // SIDE)
    return array[::step, ::step] / 255, (array.shape[0], array.shape[1])
