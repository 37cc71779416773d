"""Texts as counts of their words and pieces of words: nothing to install, nothing to fetch (arXiv:0902.2206)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .protocol import BadInputs

LONGEST = 1_000_000  # characters of a text; what is longer is a file that was given by mistake
CHARACTERS = 500_000  # that are hashed at once
CELLS = 1 << 20  # buckets of texts that are counted at once: more of them fall out of the processor's caches
STEP = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no run of characters is mapped to zero
ODD = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Runs = Iterator[tuple[np.ndarray, np.ndarray]]  # (text of each run, its hash of 64 bits)


class HashedNGrams:
    """Words, pairs of words and runs of characters, each counted in one of `width` buckets by its hash.

    Unlike `Sentences` it knows no language and no synonyms, and encodes over 10,000 short texts a second. The hash
    gives a sign too, so that collisions cancel on average (Weinberger et al. 2009, arXiv:0902.2206). Counts are damped
    by log(1 + count), and every text has length 1. Upper case and the width of white space do not count.

    Args:
        width: length of an encoded text.
        words: the longest run of words; 0 for none.
        characters: the shortest and the longest run of characters; (0, 0) for none.

    >>> a, b, c = HashedNGrams()(["how do I reset my card?", "resetting a card", "weather tomorrow"])
    >>> bool(a @ b > 0.2 > a @ c)
    True
    """

    modality = "text"

    def __init__(self, width: int = 4096, *, words: int = 2, characters: tuple[int, int] = (3, 5)):
        shortest, longest = characters
        if width < 1 or words < 0 or not (0 < shortest <= longest or shortest == longest == 0) or words + longest == 0:
            raise UserError(
                "HashedNGrams need a width of 1 or more, and something to count: words=2, or characters=(3, 5) with the"
                f" shortest run first; got width={width}, words={words}, characters={characters}."
            )
        self.width, self.words, self.characters = width, words, (shortest, longest)
        self.identity = f"hashed-n-grams 1 width={width} words={words} characters={shortest}-{longest}"
        self.feature = (width,)

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """(n, width) float32, each row of length 1; of length 0 where a text holds no run that is counted.

        Raises:
            BadInputs: a text that is empty or too long, or something else than a text.
        """
        check_texts(inputs)
        made = np.empty((len(inputs), self.width), dtype=np.float32)
        start = 0
        for texts in _together(inputs, max(1, CELLS // self.width)):
            counts = self._count(texts)
            lengths = np.sqrt(np.einsum("tw,tw->t", counts, counts))
            made[start : start + len(texts)] = counts / np.maximum(lengths, 1e-12)[:, None]
            start += len(texts)
        return torch.from_numpy(made)

    def _count(self, texts: list[str]) -> np.ndarray:
        """(texts, width) damped, signed counts."""
        codes, owner = _codes(texts)
        runs = [*_word_runs(codes, owner, self.words), *_character_runs(codes, owner, *self.characters)]
        counts: np.ndarray = np.zeros(len(texts) * self.width)
        if runs:
            owners, hashes = (np.concatenate(column) for column in zip(*runs, strict=True))
            cells = owners * self.width + (hashes % np.uint64(self.width)).astype(np.int64)
            # The highest bit has next to nothing to do with the bucket, which the low ones decide.
            signs = np.where(hashes >> np.uint64(63), 1.0, -1.0)
            counts = np.bincount(cells, weights=signs, minlength=len(counts))
            used = np.flatnonzero(counts)
            counts[used] = np.sign(counts[used]) * np.log1p(np.abs(counts[used]))
        return counts.reshape(len(texts), self.width)


def check_texts(inputs: Sequence[Any]) -> None:
    """That all of them are texts with something in them.

    Raises:
        BadInputs: the rows that are not.
    """
    problems = {}
    for row, text in enumerate(inputs):
        if not isinstance(text, str):
            problems[row] = f"is {text!r:.40}, a {type(text).__name__}, not a text"
        elif not text or text.isspace():
            problems[row] = "is an empty text"
        elif len(text) > LONGEST:
            problems[row] = f"has {len(text):,} characters (it begins {text[:20]!r}); at most {LONGEST:,} are read"
    if problems:
        raise BadInputs(problems, "Leave such rows out.")


def _together(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    some: list[str] = []
    size = 0
    for text in texts:
        if some and (len(some) == most or size + len(text) > CHARACTERS):
            yield some
            some, size = [], 0
        some.append(text)
        size += len(text)
    if some:
        yield some


def _codes(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The code points of all texts in one row, and which text each belongs to."""
    plain = [f" {' '.join(text.lower().split())} " for text in texts]
    joined = "".join(plain).encode("utf-32-le", "surrogatepass")
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in plain])
    return np.frombuffer(joined, dtype="<u4").astype(np.uint64), owner


def _word_runs(codes: np.ndarray, owner: np.ndarray, longest: int) -> Runs:
    """Runs of 1 .. longest words; a word is an unbroken row of letters and digits."""
    present = np.unique(codes)
    inside = np.array([chr(code).isalnum() for code in present.tolist()])[np.searchsorted(present, codes)]
    begins = inside.copy()
    begins[1:] &= ~inside[:-1]  # a text begins with a space, so no word goes on from the one before
    places = np.flatnonzero(inside)
    if not len(places) or not longest:
        return
    first = np.flatnonzero(begins[places])
    word = np.cumsum(begins[places]) - 1
    place = np.arange(len(places)) - first[word]
    powers = np.cumprod(np.full(place.max() + 1, STEP))
    words = np.add.reduceat(_mixed(codes[places]) * powers[place], first)
    # Told from runs of characters, which are counted in the same buckets.
    yield from _runs(_mixed(words), owner[places[first]], 1, longest, salt=1)


def _character_runs(codes: np.ndarray, owner: np.ndarray, shortest: int, longest: int) -> Runs:
    if longest:
        yield from _runs(_mixed(codes), owner, shortest, longest, salt=2)


def _runs(items: np.ndarray, owner: np.ndarray, shortest: int, longest: int, *, salt: int) -> Runs:
    """The polynomial hash of every run of neighbours within a text, made from that of the run one shorter."""
    run = items
    for length in range(1, longest + 1):
        if length > 1:
            run = run[:-1] * STEP + items[length - 1 :]
        if length >= shortest and len(run):
            within = owner[length - 1 :] == owner[: len(owner) - length + 1]
            yield owner[length - 1 :][within], _mixed(run[within] + np.uint64(256 * salt + length))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """A permutation of 64 bits whose every output bit depends on every input bit (splitmix64)."""
    mixed = numbers + STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * ODD[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * ODD[1]
    return mixed ^ (mixed >> np.uint64(31))
