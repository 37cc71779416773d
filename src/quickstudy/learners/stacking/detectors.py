"""Simple detectors of anomalies, each with a score for every row of an unlabelled table: higher is odder."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import BadExamples
from ...extras import brought_in
from ...rng import Rng

NEIGHBOURS = (10, 50)
KEPT = 0.9  # of the variance, by the principal components
BINS = 10
DETECTORS = (
    *(f"{name}-{k}" for k in NEIGHBOURS for name in ("nearest", "lof")),
    "forest",
    "components",
    "residual",
    "tails",
    "histogram",
)


def detect(x: Float[Tensor, "n d"], *, rng: Rng | None = None) -> Float[Tensor, "n k"]:
    """What every detector of `DETECTORS` says of every row, float64.

    Distance to a neighbour and local outlier factor; isolation forest; distance inside the principal components and
    from them; empirical tail probabilities (ECOD, arXiv:2201.00382); histograms (HBOS). Columns are scaled to
    deviation 1. Needs scikit-learn (the extra 'sklearn').

    Args:
        x: rows of numbers.
        rng: of the forest.

    Raises:
        BadExamples: fewer than three rows, or numbers that are not finite.
        UserError: scikit-learn is not there.
    """
    if len(x) < 3 or not bool(torch.isfinite(x).all()):
        raise BadExamples(f"Detectors need three rows of finite numbers; got {len(x)} rows; fill in what is NaN first.")
    neighbors, ensemble = (
        brought_in(f"sklearn.{n}", "Detecting anomalies", "sklearn") for n in ("neighbors", "ensemble")
    )
    raw = x.double().cpu().numpy()
    spread = raw.std(0)
    z = (raw - raw.mean(0)) / np.where(spread > 0, spread, 1)
    found = []
    for k in (min(k, len(z) - 1) for k in NEIGHBOURS):
        found.append(neighbors.NearestNeighbors(n_neighbors=k).fit(z).kneighbors()[0][:, -1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rows that are there many times, which is what the table is like
            found.append(-neighbors.LocalOutlierFactor(n_neighbors=k).fit(z).negative_outlier_factor_)
    seed = (rng or Rng(0)).at("forest").number % 2**32
    found.append(-ensemble.IsolationForest(n_estimators=200, random_state=seed).fit(z).score_samples(z))
    _, sizes, axes = np.linalg.svd(z, full_matrices=False)
    inside, variance = z @ axes.T, sizes**2 / len(z)
    kept = np.cumsum(variance) <= max(KEPT * variance.sum(), variance[0])
    found.append((inside[:, kept] ** 2 / np.maximum(variance[kept], 1e-12)).sum(1))
    found.append((inside[:, ~kept] ** 2).sum(1))
    return torch.from_numpy(np.stack([*found, _tails(z), _histogram(z)], 1))


def _tails(x: np.ndarray) -> np.ndarray:
    """How far out each number is among those of its column: left, right, or on the side that the column leans to."""
    below, above = (
        -np.log(np.stack([np.searchsorted(np.sort(c), c, side="right") for c in (side * x).T], 1) / len(x))
        for side in (1, -1)
    )
    leaning = np.where((x**3).mean(0) < 0, below, above)
    return np.max([part.sum(1) for part in (below, above, leaning)], 0)


def _histogram(x: np.ndarray) -> np.ndarray:
    """Minus the logarithm of how full the bins are that a row falls into."""
    rarity = np.zeros(len(x))
    for column in x.T:
        counts, edges = np.histogram(column, BINS)
        rarity -= np.log((counts[np.searchsorted(edges[1:-1], column, side="right")] + 1) / (len(x) + BINS))
    return rarity
