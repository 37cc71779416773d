"""The learner that a graph is made of, and made-up tasks of the sizes that the graph should take."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..learner import Learner
from ..outputs import Gaussian, central
from ..rng import Rng
from ..state import pack
from ..task import Examples

EXAMPLES, WAYS, QUERIES = "examples", "ways", "queries"
TRACED = {EXAMPLES: 14, WAYS: 3, QUERIES: 5}  # where any size will do; unlike each other, so that none stands for two


@dataclasses.dataclass(frozen=True)
class Asked:
    """A learner, and what the graph of it is asked to take.

    Args:
        learner: in evaluation mode.
        kind: 'classification' or 'regression'.
        feature: shape of an input.
        targets: length of a target of a regression.
        fixed: name of a size -> the number that it always has; the others may be any.
        dtype: of the numbers.
    """

    learner: Learner
    kind: str
    feature: tuple[int, ...]
    targets: int = 1
    fixed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    dtype: torch.dtype = torch.float32

    def outputs(self, state: Any = None) -> tuple[str, ...]:
        """The names of what `predict` gives, in any state or in this one.

        Raises:
            UserError: predictions of another length than the targets.
        """
        if self.kind == "classification":
            return ("logits",)
        given = self.drawn(self.traced)
        with torch.no_grad():
            learned = self.learned(given["support_x"], given["support_y"]) if state is None else state
            output = self.learner.predict(learned, given["query_x"])
        length = central(output).shape[-1]
        if state is None and length != self.targets:
            raise UserError(f"This learner answers with {length} numbers a query; give targets={length} (--targets).")
        return ("value", "variance") if isinstance(output, Gaussian) else ("value",)

    @functools.cached_property
    def most_ways(self) -> int:
        """The number of outputs of a fixed head, which is the most classes that it can tell apart."""
        if self.kind == "regression" or self.learner.class_equivariant:
            return sys.maxsize
        x = torch.zeros(2, *self.feature, dtype=self.dtype)
        with torch.no_grad():
            state = self.learner.adapt(Examples(x, torch.zeros(2, dtype=torch.int64), ways=1))
            return central(self.learner.predict(state, x)).shape[-1]

    @property
    def traced(self) -> dict[str, int]:
        """Sizes to trace with."""
        return {**TRACED, **self.fixed}

    def drawn(self, sizes: Mapping[str, int], *, key: int = 0) -> dict[str, Tensor]:
        """Inputs of a made-up task: every class has its examples as long as there are as many."""
        generator = Rng(0, ("export", key)).generator()
        n, q, ways = sizes[EXAMPLES], sizes[QUERIES], min(sizes[WAYS], self.most_ways)
        # Pictures are 0 to 1, and what a learner has met with is all that it has to be right on.
        draw = torch.rand if len(self.feature) == 3 else torch.randn
        x = draw(n + q, *self.feature, generator=generator, dtype=self.dtype)
        if self.kind == "classification":
            y = torch.eye(ways, dtype=self.dtype)[torch.arange(n) % ways]
        else:
            y = torch.randn(n, self.targets, generator=generator, dtype=self.dtype)
        return {"support_x": x[:n], "support_y": y, "query_x": x[n:]}

    def learned(self, x: Tensor, y: Tensor) -> Any:
        """The state after a support set whose classes stand as rows of 0 and 1."""
        if self.kind == "regression":
            return self.learner.adapt(Examples(x, y))
        return self.learner.adapt(Examples(x, y.argmax(-1), ways=y.shape[-1]))

    def state(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of the state after the support set of a made-up task, by the names that state files have too."""
        state = self.learned(given["support_x"], given["support_y"])
        return {f"state.{name.replace('/', '.')}": leaf for name, leaf in pack(state)[0].items()}
