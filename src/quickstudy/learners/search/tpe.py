"""Tree-structured Parzen estimator (Bergstra et al. 2011), Optuna's own, on the candidates of a pool."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...extras import brought_in
from .unordered import Trials, Unordered, at_random


class TPE(Unordered):
    """Optuna's multivariate TPE over encodings; the candidate nearest to what it asks for is worth most.

    What it expects of a candidate is the mean of the trials: it models where good ones are, not how good they are.

    Args:
        starts: first trials, at random.

    Raises:
        UserError: Optuna is missing; (in acquire) candidates without an encoding, which no density is over.
    """

    def __init__(self, *, starts: int = 10):
        super().__init__(order="random")
        if starts < 1:
            raise UserError(f"starts is {starts}; TPE needs at least one trial to begin with.")
        self.starts = starts

    def acquire(self, state: Trials, x: Float[Tensor, "q numbers"], *, kind: str = "regression") -> Float[Tensor, " q"]:
        if x.shape[1] == 1:
            raise UserError("TPE searches among candidates with an encoding, and these are names alone.")
        if len(state.y) < self.starts:
            return at_random(state.key, len(state.y), len(x))
        return -(x[:, 1:].double() - self._asked(state)).square().sum(1)

    def _asked(self, state: Trials) -> Float[Tensor, " e"]:
        """The point that Optuna would try next."""
        optuna = brought_in("optuna", "TPE", "automl")
        seed = (int(state.key) + len(state.y)) % 2**32
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=self.starts, multivariate=True, seed=seed, warn_independent_sampling=False
        )
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            study = optuna.create_study(direction="maximize", sampler=sampler)
            space: dict[str, Any] = {
                str(i): optuna.distributions.FloatDistribution(float(low), float(high))
                for i, (low, high) in enumerate(zip(*self._ends(state.x[:, 1:]), strict=True))
            }
            for row, score in zip(state.x[:, 1:].tolist(), state.y.tolist(), strict=True):
                values = dict(zip(space, row, strict=True))
                study.add_trial(optuna.trial.create_trial(params=values, distributions=space, value=score))
            asked = study.ask(space)
            return torch.tensor([asked.params[name] for name in space], dtype=torch.float64)
        finally:
            optuna.logging.set_verbosity(verbosity)

    def _ends(self, encoding: Float[Tensor, "n e"]) -> tuple[list[float], list[float]]:
        """0 to 1, or as far as what was tried goes beyond."""
        return encoding.amin(0).clamp(max=0).tolist(), encoding.amax(0).clamp(min=1).tolist()
