"""Whether a graph answers as the learner it was made of, on tasks of many sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .asked import EXAMPLES, QUERIES, WAYS, Asked
from .graphs import Graph
from .refused import NotExportable
from .tracing import first_line

Run = Callable[[Mapping[str, Tensor]], Sequence[np.ndarray]]

# Ways, examples and queries: few and many of each, one query, a class without an example.
SIZES = ((2, 4, 1), (3, 14, 5), (5, 5, 15), (5, 25, 2), (9, 30, 7), (4, 3, 3), (2, 60, 1))
CLOSE, CLOSE_AFTER_STEPS = 1e-5, 1e-4  # rounding grows on the way through an inner loop


def difference(
    asked: Asked, graph: Graph, run: Run, inputs: Callable[[Mapping[str, int], int], dict[str, Tensor]]
) -> float:
    """The largest difference from the learner's own answers; above 1 they are compared in proportion.

    After an inner loop those in float64 count too, if they are nearer.

    Args:
        asked: the learner, and the sizes that are fixed.
        graph: what was made of it.
        run: the graph, carried out.
        inputs: sizes and a number -> inputs of the graph for a made-up task of those sizes, another for each number.

    Raises:
        NotExportable: it answers otherwise, or not at all.
    """
    name, worst = type(asked.learner).__name__, 0.0
    limit = CLOSE_AFTER_STEPS if asked.learner.iterative else CLOSE
    for key, (ways, examples, queries) in enumerate(SIZES):
        sizes = {WAYS: ways, EXAMPLES: examples, QUERIES: queries} | dict(asked.fixed)
        where = f"a task of {sizes[WAYS]} ways, {sizes[EXAMPLES]} examples and {sizes[QUERIES]} queries"
        given = inputs(sizes, key)
        try:
            found = run(given)
        except Exception as error:  # runtimes raise several kinds, all of them meaning this
            raise NotExportable(
                f"The graph of {name} stops at {where}; if it is another for other sizes, fix them (examples=...,"
                f" ways=..., queries=...): {first_line(error)}"
            ) from error
        apart = _furthest(found, graph.module, given)
        if not apart <= limit and asked.learner.iterative and "support_x" in given:
            # A unit of a net that is all but zero may round to either side, and the steps after it go another way: in
            # torch as well as in the graph. Whether it was the graph is seen beside numbers that hardly round.
            wide = {name: t.double() for name, t in given.items()}
            apart = min(apart, _furthest(found, copy.deepcopy(graph.module).double(), wide))
        if not apart <= limit:
            raise NotExportable(
                f"The graph of {name} answers otherwise than torch on {where}:"
                f" by {apart:.1e}, where {limit:.0e} is allowed."
            )
        worst = max(worst, apart)
    return worst


def _furthest(found: Sequence[np.ndarray], module: nn.Module, given: Mapping[str, Tensor]) -> float:
    """The largest difference from what the module itself gives."""
    with torch.no_grad():
        right = [t.numpy() for t in module(*given.values())]
    return max(_apart(a, b) for a, b in zip(found, right, strict=True))


def _apart(found: np.ndarray, right: np.ndarray) -> float:
    """The largest difference as a share of the largest number, or of 1; infinite where shapes or infinities differ."""
    if found.shape != right.shape:
        return float("inf")
    real = np.isfinite(right)
    if not np.array_equal(found[~real], right[~real], equal_nan=True):
        return float("inf")
    if not real.any():
        return 0.0
    size = max(1.0, float(np.abs(right[real]).max()))
    return float(np.abs(found[real].astype(np.float64) - right[real]).max()) / size
