"""Small tables, and searches that are over soon."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import optuna
import pytest


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def mixed() -> tuple[np.ndarray, np.ndarray]:
    """(60, 4) numbers, words and gaps, and words to predict: the word of a row and its first number tell."""
    rng = np.random.default_rng(0)
    colour, size = rng.choice(["red", "blue", "green"], 60), rng.normal(size=60)
    y = np.where((colour == "red") ^ (size > 0), "yes", "no")
    x = np.empty((60, 4), dtype=object)
    x[:, 0], x[:, 1], x[:, 2], x[:, 3] = size, colour, rng.normal(size=60), "same"
    x[rng.random(60) < 0.1, 0] = np.nan
    x[rng.random(60) < 0.1, 1] = None
    return x, y
