"""What to try next on a new data set, from what was good on past ones and what has been tried so far."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..arguments import parameters
from ..errors import UserError
from ..learner import Learner
from ..outputs import Gaussian
from ..registry import build, find
from ..rng import Rng
from ..task import Examples
from ..tasks.scores.candidates import name_of
from ..tasks.scores.space import Space
from ..tasks.scores.table import ScoreTable

LEARNER = "safe-transfer"
NORMAL = 1.6448536269514722  # the 95 % point of the normal distribution
Configuration = Mapping[str, Any]


class Advisor:
    """Says what to try next: a learner of selection that has seen a table, and the trials on one new data set.

    Args:
        table: what is known of past data sets.
        learner: of selection, a name (see `quickstudy list learners`) or an instance, of which a copy is fitted here.
        description: (m,) meta-features of the new data set, as the table has them; None where they are not known.
        fresh: how many new configurations are weighed beside the table's each time, for learners that read the encoding
            of candidates they never met.
        seed: of `fresh`.

    Attributes:
        tried: (configuration, score) so far, higher is better.

    >>> past = [{"C": c} for c in (0.1, 1.0, 10.0)]
    >>> table = ScoreTable.of_trials(["a"] * 3 + ["b"] * 3, past * 2, [0.5, 0.6, 0.9, 0.4, 0.7, 0.8])
    >>> advisor = Advisor(table, "portfolio")
    >>> advisor.ask()
    {'C': 10.0}
    >>> advisor.tell({"C": 10.0}, 0.7)
    >>> advisor.ask()
    {'C': 1.0}
    """

    def __init__(
        self,
        table: ScoreTable,
        learner: str | Learner = LEARNER,
        *,
        description: Tensor | None = None,
        fresh: int = 0,
        seed: int = 0,
    ):
        made: Any = _named(learner, table) if isinstance(learner, str) else copy.deepcopy(learner)
        if made.kinds != ("regression",) or not made.zero_shot or not hasattr(made, "meta_fit"):
            raise UserError(
                f"{type(made).__name__} does not learn from tables of scores; choose a learner of selection, such as"
                f" '{LEARNER}' (see `quickstudy list learners`)."
            )
        made.meta_fit(table)
        self.table, self.learner, self.description, self.fresh, self.seed = table, made.eval(), description, fresh, seed
        past = table.candidates
        self.configurations = [dict(c) for c in past.configurations or ({"candidate": name} for name in past.names)]
        self.space = past.space or Space.seen(self.configurations)
        self._numbers = {name_of(configuration): i for i, configuration in enumerate(self.configurations)}
        self.tried: list[tuple[Configuration, float]] = []

    def tell(self, configuration: Configuration, score: float) -> None:
        """Take a trial into account.

        Raises:
            UserError: a configuration that is not of the table's space; the message names the setting.
        """
        self.space.encode([configuration])
        self.tried.append((configuration, score))

    def after(self, tried: Sequence[tuple[Configuration, float]]) -> Advisor:
        """The same advisor where these have been tried, and nothing else."""
        other = copy.copy(self)
        other.tried = list(tried)
        return other

    def candidates(self) -> list[dict[str, Any]]:
        """What has not been tried."""
        met = {name_of(configuration) for configuration, _ in self.tried}
        fresh = self.space.sample(len(self.tried) * self.fresh, self.fresh, rng=Rng(self.seed, ("fresh",)))
        return [candidate for candidate in (*self.configurations, *fresh) if name_of(candidate) not in met]

    def ask(self, among: Sequence[Configuration] | None = None) -> dict[str, Any]:
        """The configuration to try next, of all that have not been tried or of some.

        Raises:
            UserError: all candidates have been tried.
        """
        left = self.candidates() if among is None else list(among)
        if not left:
            raise UserError(f"All {len(self.configurations)} candidates have been tried; give a table with more.")
        with torch.no_grad():
            worth = self.learner.acquire(self._state(), self._x(left), kind="regression")
        return dict(left[int(worth.argmax())])

    def recommend(self, k: int = 1) -> list[dict[str, Any]]:
        """The k configurations to try next, best first, each as if those before it had scored what is expected."""
        then = self.after(self.tried)
        found: list[dict[str, Any]] = []
        for _ in range(min(k, len(self.candidates()))):
            found.append(then.ask())
            then.tried.append((found[-1], then.predict(found[-1:]).mean.item()))
        return found

    def predict(self, configurations: Sequence[Configuration]) -> Gaussian:
        """The (n, 1) scores of configurations on the new data set, higher is better."""
        with torch.no_grad():
            answer: Any = self.learner.predict(self._state(), self._x(configurations))
        return answer

    def explain(self) -> str:
        """Why it would try next what it would: what it expects, and what the learner says of past data sets."""
        following = self.ask()
        answer = self.predict([following])
        mean, half = answer.mean.item(), NORMAL * answer.variance.sqrt().item()
        expected = f"{name_of(following)}: {mean:.4g} expected, {mean - half:.4g} to {mean + half:.4g} at 90%."
        told = getattr(self.learner, "explain", None)
        return expected if told is None else f"{expected}\n{told(self._state(), self.table)}"

    def _state(self) -> Any:
        x = self._x([configuration for configuration, _ in self.tried])
        y = torch.tensor([score for _, score in self.tried], dtype=x.dtype).unsqueeze(-1)
        with torch.no_grad():
            return self.learner.adapt(Examples(x, y), self.description, rng=Rng(self.seed, ("adapt", len(y))))

    def _x(self, configurations: Sequence[Configuration]) -> Tensor:
        """(n, 1 + e): the number of each candidate, -1 for one that the table never had, and its encoding."""
        known = self.table.candidates.x
        numbers = torch.tensor([self._numbers.get(name_of(c), -1) for c in configurations], dtype=torch.int64)
        x = known[numbers.clamp(min=0)]
        new = [c for c, number in zip(configurations, numbers.tolist(), strict=True) if number < 0]
        if new:
            encoding = self.space.encode(new) if known.shape[1] > 1 else known.new_empty(len(new), 0)
            x[numbers < 0] = torch.cat([known.new_full((len(new), 1), -1.0), encoding.to(known.dtype)], 1)
        return x


def _named(name: str, table: ScoreTable) -> Learner:
    """A learner by its name; one that reads encodings is made for as many columns as those of the table have."""
    columns = table.candidates.encoding.shape[1]
    reads = "inputs" in parameters(find("learner", name).load())
    if reads and not columns:
        raise UserError(f"'{name}' reads the settings of candidates, and those of this table are names alone.")
    made: Learner = build("learner", {"name": name} | ({"inputs": columns} if reads else {}))
    return made
