"""The work loads: which tasks, which net, which first weights. All libraries are handed the same ones."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np

EPSILON = 1e-5  # of batch norm
LETTERS, DRAWINGS = 1623, 20  # the size of Omniglot
WIDTH = 64
MLP = (1, 40, 40, 1)


@dataclasses.dataclass(frozen=True)
class Work:
    """One work load.

    Args:
        name: of its records, after 'speed/'.
        learner: as the registry of quickstudy names it, or 'episodes'.
        steps: of the inner loop.
        tasks: a meta-batch; for 'proto-eval' the tasks judged in one call.
        net: 'stride' or 'pool' (Conv-4 with 64 filters), 'mlp', or '' where there is none.
        lr: of the inner loop.
    """

    name: str
    learner: str
    ways: int
    shots: int
    queries: int
    tasks: int
    net: str
    steps: int = 0
    lr: float = 0.0

    @property
    def kind(self) -> str:
        """What is done: the learner's name, but for the two that use it otherwise."""
        return {"sine-1step": "sine", "proto-eval": "judge"}.get(self.name, self.learner)

    @property
    def support(self) -> int:
        """Examples of a support set."""
        return self.ways * self.shots

    @property
    def asked(self) -> int:
        """Queries of a task."""
        return self.ways * self.queries


WORKS = {
    work.name: work
    for work in (
        Work("maml-5way-1shot-1step", "maml", 5, 1, 15, 32, "stride", 1, 0.4),
        Work("maml-5way-1shot-5steps", "maml", 5, 1, 15, 32, "stride", 5, 0.1),
        Work("maml-20way-5steps", "maml", 20, 1, 15, 16, "stride", 5, 0.1),
        Work("fomaml", "fomaml", 5, 1, 15, 32, "stride", 1, 0.4),
        Work("reptile", "reptile", 5, 1, 15, 32, "stride", 5, 0.1),
        Work("anil", "anil", 5, 1, 15, 32, "stride", 1, 0.4),
        Work("proto-5way", "prototypical", 5, 5, 15, 1, "pool"),
        Work("proto-60way", "prototypical", 60, 5, 5, 1, "pool"),
        Work("proto-eval", "prototypical", 5, 5, 15, 32, "pool"),
        Work("sine-1step", "maml", 1, 10, 10, 25, "mlp", 1, 0.01),
        Work("episodes-5way", "episodes", 5, 1, 15, 32, ""),
    )
}


def names(work: Work) -> list[str]:
    """The parameters in the order of `weights`: layer.kind."""
    if work.net == "mlp":
        return [f"linear{i}.{part}" for i in range(len(MLP) - 1) for part in ("weight", "bias")]
    blocks = [f"{layer}{i}.{part}" for i in range(4) for layer in ("conv", "norm") for part in ("weight", "bias")]
    return blocks if work.net == "pool" else [*blocks, "head.weight", "head.bias"]


def weights(work: Work, dtype: str = "float32") -> list[np.ndarray]:
    """First weights, nothing of them zero, so that a parameter that is left out shows in the gradient."""
    rng = np.random.default_rng(1)
    made = []
    if work.net == "mlp":
        for wide, out in pairwise(MLP):
            made += [rng.normal(0, (2 / wide) ** 0.5, (out, wide)), rng.normal(0, 0.1, out)]
    else:
        for channels in (1, WIDTH, WIDTH, WIDTH):
            made += [rng.normal(0, (2 / (9 * channels)) ** 0.5, (WIDTH, channels, 3, 3)), rng.normal(0, 0.1, WIDTH)]
            made += [rng.normal(1, 0.1, WIDTH), rng.normal(0, 0.1, WIDTH)]
    if work.net == "stride":
        made += [rng.normal(0, WIDTH**-0.5, (work.ways, WIDTH)), rng.normal(0, 0.1, work.ways)]
    return [array.astype("float32").astype(dtype) for array in made]


def tasks(work: Work, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Support inputs and labels, query inputs and labels, each (tasks, examples, ...), sorted by class."""
    rng = np.random.default_rng(0)
    if work.net == "mlp":
        amplitude, phase = rng.uniform(0.1, 5, (work.tasks, 1, 1)), rng.uniform(0, np.pi, (work.tasks, 1, 1))
        x = rng.uniform(-5, 5, (work.tasks, work.shots + work.queries, 1)).astype("float32").astype(dtype)
        y = (amplitude * np.sin(x - phase)).astype("float32").astype(dtype)
        return x[:, : work.shots], y[:, : work.shots], x[:, work.shots :], y[:, work.shots :]
    strokes = rng.random((work.tasks, work.ways, 1, 1, 28, 28), dtype="float32") < 0.25
    noise = rng.normal(0, 0.3, (work.tasks, work.ways, work.shots + work.queries, 1, 28, 28))
    x = np.clip(strokes + noise, 0, 1).astype("float32").astype(dtype)
    y = np.broadcast_to(np.arange(work.ways)[:, None], x.shape[:3])
    sides = []
    for part in (slice(None, work.shots), slice(work.shots, None)):
        sides += [x[:, :, part].reshape(work.tasks, -1, 1, 28, 28), y[:, :, part].reshape(work.tasks, -1)]
    return sides[0], sides[1], sides[2], sides[3]


def drawings() -> np.ndarray:
    """(letters, drawings, 1, 28, 28), as large as Omniglot."""
    return np.random.default_rng(0).random((LETTERS, DRAWINGS, 1, 28, 28), dtype="float32")
