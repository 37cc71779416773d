"""Sentiment in a new domain (ARSC: Yu et al. 2018, arXiv:1805.07513, after Blitzer et al. 2007)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....errors import NotEnoughExamples
from ....rng import Rng
from ...class_groups import ClassGroups
from ...fixed import FixedTasks
from ..brought import brought, read_columns
from .pools import Encode

CLASSES = ("negative", "positive")
NOT_IN_PAPER = ("musical_instruments", "tools_hardware")  # too few reviews: 23 of the 25 domains are used
VALIDATION = ("music", "video")  # their training files are lost in the copies that are around


@dataclasses.dataclass(frozen=True)
class Reviews:
    """Reviews as they were read, before any encoder. A task is a domain with a threshold; a row belongs to one task.

    Args:
        texts: different ones, each once.
        text: (N,) which text each row is.
        y: (N,) 1 where the review gave as many stars as the threshold asks for.
        group: (N,) task of each row.
        part: (N,) the file that it stood in: 'train', 'dev' or 'test'.
        tasks: names, such as 'books/4'.
        sides: of the tasks: 'train', 'validation', 'test', or '' for the domains that the paper leaves out.
    """

    texts: list[str]
    text: np.ndarray
    y: np.ndarray
    group: np.ndarray
    part: np.ndarray
    tasks: tuple[str, ...]
    sides: tuple[str, ...]

    @classmethod
    def read(cls) -> Reviews:
        """All of them.

        Raises:
            MissingData: they are not on this machine.
        """
        (path,) = brought("arsc")
        columns = read_columns(path, "domain", "threshold", "split", "meta_split", "label", "text")
        domain, threshold, part, meta, label, content = columns.values()
        names = [f"{d}/{t}" for d, t in zip(domain, threshold, strict=True)]
        home = {name: _side(d, m) for name, d, m in zip(names, domain, meta, strict=True)}
        number: dict[str, int] = {}
        text = np.array([number.setdefault(review, len(number)) for review in content])
        tasks, group = np.unique(names, return_inverse=True)
        y = np.array(label, dtype=np.int64)
        sides = tuple(home[name] for name in tasks.tolist())
        return cls(list(number), text, y, group, np.array(part), tuple(tasks.tolist()), sides)

    def of(self, task: int, part: str) -> np.ndarray:
        """The rows of one file."""
        return ((self.group == task) & (self.part == part)).nonzero()[0]

    def encoded(self, rows: np.ndarray, encode: Encode) -> Callable[[Tensor], Tensor]:
        """The inputs of some of the rows, numbered from 0; every text is encoded once."""
        used, place = np.unique(self.text[rows], return_inverse=True)
        vectors, place_of = encode([self.texts[i] for i in used]), torch.from_numpy(place)
        return lambda numbers: vectors[place_of[numbers]]


def arsc(
    encode: Encode, *, shots: int = 5, queries: int | None = 10, seed: int = 0, split: str = "train"
) -> ClassGroups:
    """Sentiment of reviews in 23 domains of Amazon at 3 thresholds each: 51 tasks train, 6 validate, 12 test.

    The thresholds of a domain are different tasks: at least 2, 4 or 5 stars. The paper trains on 57, music and video
    among them; these validate here, as their training files are lost. A review counts once a task, and only for the
    test if a test domain has it too. The official test is not `.test`, which draws anew from all reviews of its
    domains, but `arsc_tests`.

    Args:
        encode: texts -> (n, *feature); see `pools`.
        shots: support reviews of either class.
        queries: of either class; None asks for all others.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Raises:
        MissingData: it is not on this machine.

    >>> arsc(lambda texts: torch.zeros(len(texts), 384)).sample(0, 2).support.x.shape  # doctest: +SKIP
    torch.Size([2, 10, 384])
    """
    reviews = Reviews.read()
    side = np.array(reviews.sides)[reviews.group]
    leaked = (side != "test") & np.isin(reviews.text, reviews.text[side == "test"])
    rows = ((side != "") & ~leaked).nonzero()[0]
    once = np.unique(reviews.group[rows] * len(reviews.texts) + reviews.text[rows], return_index=True)[1]
    rows = rows[np.sort(once)]
    return ClassGroups(
        "arsc",
        reviews.encoded(rows, encode),
        torch.from_numpy(reviews.y[rows]),
        torch.from_numpy(reviews.group[rows]),
        reviews.sides,
        classes=CLASSES,
        shots=shots,
        queries=queries,
        seed=seed,
        split=split,
    )


def arsc_tests(encode: Encode, *, shots: int | None = None, seed: int = 0) -> FixedTasks:
    """The 12 official test tasks: books, dvd, electronics and kitchen at 3 thresholds each; all test reviews are asked.

    Args:
        encode: texts -> (n, *feature).
        shots: support reviews of either class, drawn from the development files, which the official protocol leaves
            alone; None is that protocol, with its prescribed 5 of either class.
        seed: of the draw and of the order of reviews.

    Returns:
        Twelve tasks. Test reviews that are support reviews too, word by word, are not asked.

    Raises:
        MissingData: it is not on this machine.
        NotEnoughExamples: fewer development reviews of a class than shots.
    """
    reviews = Reviews.read()
    tasks = [i for i, side in enumerate(reviews.sides) if side == "test"]
    support, query = [], []
    for task in tasks:
        asked, prescribed = reviews.of(task, "test"), reviews.of(task, "train")
        learned = prescribed if shots is None else _drawn(reviews, task, asked, shots, seed)
        support.append(learned)
        query.append(asked[~np.isin(reviews.text[asked], reviews.text[learned])])
    rows = np.concatenate([*support, *query])
    places = torch.arange(len(rows)).split([len(part) for part in (*support, *query)])
    return FixedTasks(
        "arsc-tests" if shots is None else f"arsc-tests, support from dev, draw {seed}",
        reviews.encoded(rows, encode),
        torch.from_numpy(reviews.y[rows]),
        places[: len(tasks)],
        places[len(tasks) :],
        classes=CLASSES,
        names=[reviews.tasks[task] for task in tasks],
        seed=seed,
    )


def _side(domain: str, meta: str) -> str:
    if meta == "test":
        return "test"
    return "" if domain in NOT_IN_PAPER else "validation" if domain in VALIDATION else "train"


def _drawn(reviews: Reviews, task: int, asked: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Rows of a task's development file, so many of either class, different from each other and from what is asked."""
    dev = reviews.of(task, "dev")
    dev = dev[np.sort(np.unique(reviews.text[dev], return_index=True)[1])]
    dev = dev[~np.isin(reviews.text[dev], reviews.text[asked])]
    order = torch.randperm(len(dev), generator=Rng(seed, ("arsc", reviews.tasks[task])).generator()).numpy()
    each = [[row for row in dev[order] if reviews.y[row] == label][:shots] for label in range(len(CLASSES))]
    if shots < 1 or min(map(len, each)) < shots:
        few = [int((reviews.y[dev] == label).sum()) for label in range(len(CLASSES))]
        raise NotEnoughExamples(
            f"The development reviews of {reviews.tasks[task]} are {few[0]} negative and {few[1]} positive; {shots} of"
            " either were asked for."
        )
    return np.concatenate(each)
