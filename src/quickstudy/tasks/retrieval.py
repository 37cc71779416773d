"""Associative retrieval: a string of letters with digits, and then the question which digit a letter had."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..errors import UserError
from ..rng import distinct
from ..task import Examples, Task
from .source import TaskSource

LETTERS, DIGITS = 26, 10


class Retrieval(TaskSource):
    """Strings such as c9k8j3f1 and questions such as c, to be answered by 9.

    Unlike other classifications nothing can be known beforehand and nothing generalises: every string deals its digits
    anew, so all that counts is what a learner can keep. The letters of a string differ, its digits may not. The splits
    are one distribution under different keys. Naming the commonest digit of a string errs in 61.65 % of questions with
    4 pairs (70.01 % with 8); that is where nets stay which do not learn to bind. The examples of the paper have 4.

    Args:
        pairs: letters with digits in a string.
        queries: letters that are asked, all different; one in the paper.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Returns:
        Tasks of 10 ways, without origin: support x (T, pairs, 26) one-hot letters, float32, y (T, pairs) digits.

    Raises:
        UserError: more pairs than letters, more queries than pairs, or none.

    Source: Ba et al. 2016 (arXiv:1610.06258), section 4.1.

    >>> task = Retrieval(pairs=4).sample(first=0, count=3)
    >>> task.support.x.shape, task.query.x.shape, task.ways
    (torch.Size([3, 4, 26]), torch.Size([3, 1, 26]), 10)
    """

    kind = "classification"

    def __init__(self, *, pairs: int = 4, queries: int = 1, seed: int = 0, split: str = "train"):
        self.pairs, self.queries, self.seed, self.split, self.name = pairs, queries, seed, split, "retrieval"
        self.prepare()

    def prepare(self) -> None:
        for name, most, of in (("pairs", LETTERS, "letters"), ("queries", self.pairs, "pairs")):
            count = getattr(self, name)
            if not isinstance(count, int) or not 1 <= count <= most:
                raise UserError(
                    f"{name} is {count}; it must be a whole number from 1 to {most}, as there are {most} {of}."
                )

    @property
    def protocol(self) -> dict[str, Any]:
        return {"source": self.name, "ways": DIGITS, "pairs": self.pairs, "queries": self.queries}

    def sample(self, first: int, count: int) -> Task:
        episodes = np.arange(first, first + count)
        letters = distinct(self.rng.at("letters").uniform(episodes, 2 * self.pairs), np.full(count, LETTERS))
        digits = (DIGITS * self.rng.at("digits").uniform(episodes, self.pairs)).astype(np.int64)
        asked = distinct(self.rng.at("asked").uniform(episodes, 2 * self.queries), np.full(count, self.pairs))
        support = _examples(letters, digits)
        return Task(support, _examples(*(np.take_along_axis(side, asked, axis=1) for side in (letters, digits))))


def _examples(letters: np.ndarray, digits: np.ndarray) -> Examples:
    one_hot = np.eye(LETTERS, dtype=np.float32)[letters]
    return Examples(torch.from_numpy(one_hot), torch.from_numpy(digits), ways=DIGITS)
