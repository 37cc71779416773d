"""Who takes part: candidates that are meta-trained, and the baselines an expert would insist on."""

from __future__ import annotations

import importlib.util
from typing import Any

from ..tasks.class_groups import ClassGroups
from ..tasks.groups import Groups
from .entries import Entry, Table, Tasks

EMBEDDED = 64  # numbers that a trained embedding of a vector or a series has
HIDDEN = 256
MOST_COLUMNS = 500  # of a table that is judged column by column: beyond that it takes longer than it helps


def entries_for(source: Tasks, *, embedded: bool = False) -> list[Entry]:
    """Candidates and baselines for these tasks: by the shape of an input, and by what an answer is.

    Args:
        source: of the tasks.
        embedded: inputs are features that somebody else's network made, or counts of words: directions, good already.
    """
    task = source.train.sample(0, 1)
    shape = tuple(task.support.x.shape[2:])
    if task.kind == "regression":
        return _regression(shape, task.query.y.shape[-1], _embedding(shape, embedded))
    ways = task.support.ways
    assert ways is not None and not isinstance(source, Groups)
    if isinstance(source, ClassGroups) and source.labels == "shared":
        return [*_shared(shape, ways, _embedding(shape, embedded)), *_tabular(shape, embedded)]
    embedding = _embedding(shape, embedded)
    classes = source.pairs if isinstance(source, ClassGroups) else len(source.pool.classes)
    if len(shape) == 3:
        return image_entries(shape, ways, classes)
    return [*_vectors(shape, classes, embedding), *_tabular(shape, embedded)]


def image_entries(shape: tuple[int, ...], ways: int, classes: int) -> list[Entry]:
    """Candidates and baselines for classification of small images."""
    conv = {"name": "conv4", "channels": shape[0], "size": shape[-1]}
    strided = conv | {"downsample": "stride", "outputs": ways}
    wide = {"ways": 30, "queries": 5}
    return [
        Entry("nearest", "baseline", {"name": "nearest"}, says="the most similar example, pixel by pixel"),
        Entry("linear", "baseline", {"name": "linear"}, says="logistic regression on pixels"),
        Entry(
            "scratch",
            "baseline",
            {"name": "scratch", "net": strided, "steps": 30},
            says="the same network trained on the new task alone",
        ),
        *_pretrained(conv, classes, 0.32, wide),
        Entry(
            "anil",
            "candidate",
            {"name": "anil", "net": strided, "steps": 3, "lr": 0.1},
            0.12,
            {"queries": 5},
            tasks=8,
            says="a network meta-trained so that a few steps of its last layer suffice",
        ),
        Entry(
            "prototypical",
            "candidate",
            {"name": "prototypical", "encoder": conv},
            0.56,
            wide,
            says="a network meta-trained so that examples of a class lie together",
        ),
    ]


def _vectors(shape: tuple[int, ...], classes: int, net: Table) -> list[Entry]:
    """For vectors and series whose classes are new in every task."""
    wide = {"ways": 20, "queries": 5}
    return [
        *_untrained(shape),
        *_pretrained(net, classes, 0.25, wide),
        Entry(
            "prototypical",
            "candidate",
            {"name": "prototypical", "encoder": net},
            0.3,
            wide,
            says="a network meta-trained so that examples of a class lie together",
        ),
        Entry(
            "r2d2",
            "candidate",
            {"name": "r2d2", "encoder": net},
            0.3,
            tasks=4,
            says="a network meta-trained so that a linear rule tells new classes apart",
        ),
    ]


def _shared(shape: tuple[int, ...], classes: int, embedding: Table) -> list[Entry]:
    """For tasks whose classes mean the same everywhere, so that there is something to know before the first example."""
    return [
        *_untrained(shape),
        *_pooled(_net(shape, classes), 0.25),
        Entry(
            "maml",
            "candidate",
            {"name": "maml", "net": _net(shape, classes), "steps": 3, "lr": 0.1, "rule": "layer-rates"},
            0.3,
            tasks=8,
            says="one network for all tasks, meta-trained so that a few steps fit it to a new one",
        ),
        Entry(
            "r2d2",
            "candidate",
            {"name": "r2d2", "encoder": embedding},
            0.3,
            tasks=8,
            says="a network meta-trained so that a linear rule tells the classes apart",
        ),
    ]


def _regression(shape: tuple[int, ...], outputs: int, embedding: Table) -> list[Entry]:
    def scaled(table: Table) -> Table:
        return {"name": "standardised", "learner": table, "outputs": outputs}

    return [
        *_untrained(shape),
        *_pooled(_net(shape, outputs), 0.25, wrap=scaled),
        Entry(
            "r2d2",
            "candidate",
            scaled({"name": "r2d2", "encoder": embedding}),
            0.25,
            tasks=8,
            says="a network meta-trained so that a linear rule fits a new task",
        ),
        Entry(
            "deep-kernel",
            "candidate",
            scaled({"name": "deep-kernel", "encoder": embedding}),
            0.25,
            tasks=8,
            says="a Gaussian process on features that are learned over the tasks",
        ),
        Entry(
            "maml",
            "candidate",
            scaled({"name": "maml", "net": _net(shape, outputs), "steps": 3, "lr": 0.05, "rule": "layer-rates"}),
            0.25,
            tasks=8,
            says="one network for all tasks, meta-trained so that a few steps fit it to a new one",
        ),
    ]


def _embedding(shape: tuple[int, ...], embedded: bool) -> Table:
    return {"name": "adapter", "inputs": shape[0]} if embedded and len(shape) == 1 else _net(shape, None)


def _net(shape: tuple[int, ...], outputs: int | None) -> Table:
    """A network for such inputs: an embedding, or with outputs."""
    if len(shape) == 3:
        strided = {} if outputs is None else {"downsample": "stride", "outputs": outputs}
        return {"name": "conv4", "channels": shape[0], "size": shape[-1]} | strided
    if len(shape) == 2:
        return {"name": "conv1d", "channels": shape[0]} | ({} if outputs is None else {"outputs": outputs})
    return {"name": "mlp", "inputs": shape[0], "outputs": outputs or EMBEDDED, "hidden": [HIDDEN]}


def _tabular(shape: tuple[int, ...], embedded: bool) -> list[Entry]:
    """For columns that mean something one by one."""
    if embedded or len(shape) != 1 or shape[0] > MOST_COLUMNS:
        return []
    says = "simple judges of a table, each trusted as far as other tasks taught"
    return [Entry("tabular", "candidate", {"name": "tabular"}, 0.15, tasks=4, lr=3e-3, says=says)]


def _untrained(shape: tuple[int, ...]) -> list[Entry]:
    """What learns from the new task alone."""
    made = [
        Entry("majority", "baseline", {"name": "majority"}, says="the commonest answer, whatever the question"),
        Entry("nearest", "baseline", {"name": "nearest"}, says="the most similar example"),
        Entry("linear", "baseline", {"name": "linear"}, says="a linear rule fitted to the new task alone"),
    ]
    if len(shape) == 1 and shape[0] <= MOST_COLUMNS and importlib.util.find_spec("sklearn") is not None:
        made.append(Entry("trees", "baseline", {"name": "trees"}, says="boosted trees grown on the new task alone"))
    return made


def _pretrained(net: Table, classes: int, share: float, wide: Table) -> list[Entry]:
    """One network for all known classes, then a new head."""
    return [
        Entry(
            "baseline++",
            "baseline",
            {"name": "baseline++", "encoder": net, "classes": classes},
            share,
            wide,
            says="a network trained to tell all known classes apart, then fine-tuned",
        ),
        Entry(
            "linear on baseline++",
            "baseline",
            {"name": "linear", "encoder": "$baseline++"},
            says="logistic regression on what that network sees",
        ),
    ]


def _pooled(net: Table, share: float, wrap: Any = lambda table: table) -> list[Entry]:
    """One network for all tasks, as it is and fine-tuned."""
    return [
        Entry(
            "pooled",
            "baseline",
            wrap({"name": "pooled", "net": net}),
            share,
            tasks=8,
            says="one network for all tasks, which learns nothing from the examples of a new one",
        ),
        Entry(
            "pooled, fine-tuned",
            "baseline",
            wrap({"name": "pooled", "net": "$pooled", "steps": 10, "lr": 0.01}),
            says="that network, fine-tuned on the new task",
        ),
    ]
