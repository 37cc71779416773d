"""Randomness as an argument: keys, and the numbers that belong to them.

Everything random is keyed by what it is for, (seed, split, episode number, ...). So an episode is the same whatever the
batch it is drawn in, the number of workers, or a resume, and nothing ever reads or moves the global generator.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator

import numpy as np
import torch

_STRIDE = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio in 64 bits: successive counters land far apart


def _mix(z: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014): a bijection of 64 bits that mixes each bit into every other."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@dataclasses.dataclass(frozen=True)
class Rng:
    """A key to a stream of random numbers; `at(...)` gives the key of something smaller.

    >>> Rng(0).at("validation", 3) == Rng(0).at("validation", 3)
    True
    >>> Rng(0).at("validation", 3) == Rng(1).at("validation", 3)
    False
    """

    seed: int
    path: tuple[str | int, ...] = ()

    def at(self, *path: str | int) -> Rng:
        """The key of a part: `Rng(seed).at("train", episode)`."""
        return Rng(self.seed, (*self.path, *path))

    @property
    def number(self) -> int:
        """63 bits that stand for the whole key."""
        text = repr((self.seed, *self.path)).encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1

    def generator(self, device: str | torch.device = "cpu") -> torch.Generator:
        """A fresh torch generator at the start of this key's stream."""
        return torch.Generator(device).manual_seed(self.number)

    def uniform(self, episodes: np.ndarray, count: int) -> np.ndarray:
        """(T, count) uniforms in [0, 1), the row of an episode depending on its number alone.

        Args:
            episodes: (T,) episode numbers below 2**40.
            count: how many numbers each episode needs, below 2**24.
        """
        counter = (episodes.astype(np.uint64)[:, None] << np.uint64(24)) + np.arange(count, dtype=np.uint64)
        with np.errstate(over="ignore"):
            bits = _mix(_mix(np.uint64(self.number) + counter * _STRIDE) + np.uint64(self.at("lane").number))
        return (bits >> np.uint64(11)) * 2.0**-53

    def normal(self, episodes: np.ndarray, count: int) -> np.ndarray:
        """(T, count) standard normal numbers (Box and Muller), keyed as `uniform`."""
        u = self.uniform(episodes, 2 * count)
        return np.sqrt(-2.0 * np.log1p(-u[:, :count])) * np.cos(2.0 * np.pi * u[:, count:])


def distinct(uniform: np.ndarray, among: np.ndarray, count: np.ndarray | None = None) -> np.ndarray:
    """In every row, k different numbers below `among`, in random order, all choices being equally likely.

    Floyd's sampling (Bentley and Floyd 1987), then a random order: k steps however large `among` is.

    Args:
        uniform: (rows, 2k) uniforms in [0, 1).
        among: (rows,) how many there are to choose from, each at least as many as are picked.
        count: (rows,) how many to pick, at most k, where rows differ in that; -1 follows them.

    >>> np.sort(distinct(np.random.default_rng(0).random((1, 6)), np.array([3])))
    array([[0, 1, 2]])
    >>> distinct(np.array([[0.9, 0.9, 0.1, 0.0], [0.9, 0.9, 0.1, 0.0]]), np.array([2, 5]), np.array([2, 1]))
    array([[ 1,  0],
           [ 4, -1]])
    """
    k = uniform.shape[1] // 2
    chosen = np.full((len(uniform), k), -1, dtype=np.int64)
    for i in range(k):
        top = among - (k if count is None else count) + i
        pick = np.minimum((uniform[:, i] * (top + 1)).astype(np.int64), top)
        taken = (chosen[:, :i] == pick[:, None]).any(axis=1)
        pick = np.where(taken, top, pick)
        chosen[:, i] = pick if count is None else np.where(i < count, pick, -1)
    keys = uniform[:, k:] if count is None else np.where(chosen < 0, 2.0, uniform[:, k:])
    return np.take_along_axis(chosen, np.argsort(keys, axis=1, kind="stable"), axis=1)


@contextlib.contextmanager
def forked(rng: Rng) -> Iterator[None]:
    """Run code that insists on torch's global generator (module initialisers, dropout) under a key of ours.

    The global generator is as it was afterwards. This is the only place in the library that touches it.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(rng.number)
        for device in devices:
            torch.cuda.default_generators[device].manual_seed(rng.number)
        yield
