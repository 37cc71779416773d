"""How far the past is to be believed: the setting under which data sets that were held out are most likely."""

from __future__ import annotations

import dataclasses
import math

import torch
from jaxtyping import Float
from torch import Tensor

from ...functional.solvers import gp
from ...rng import Rng
from .prior import SPREADS, Prior, Setting, kernel, likelihood, nearness, scaled, standard
from .scores import Past

CELLS = 24  # candidates of a held-out data set whose density is compared
FOLDS = 5
MOST = 20  # held-out data sets of a fold
GRID = {
    "likeness": (0.0, 0.5, 0.8, 0.95),
    "shrinkage": (0.05, 0.1, 0.2, 0.4, 0.8),
    "smoothness": (0.0, 0.5, 0.9),
    "lengthscale": (0.1, 0.2, 0.4, 0.8),
    "noise": (1e-3, 1e-2, 0.1),
    "evenness": (0.05, 0.3, 1.0),
    "bandwidth": (math.inf, 2.0, 1.0, 0.5),
}


def chosen(past: Past, fixed: dict[str, float], rng: Rng) -> Setting:
    """The setting under which held-out past data sets are most likely, found one number at a time, twice around."""
    setting = dataclasses.replace(Setting(), **fixed)
    grid = {name: values for name, values in GRID.items() if name not in fixed}
    if not past.encoding.shape[1]:
        setting = dataclasses.replace(setting, smoothness=0.0)
        del grid["smoothness"], grid["lengthscale"]
    if past.features is None or len(past) < 2 * FOLDS:
        grid.pop("bandwidth", None)
    if len(past) < 3:
        return dataclasses.replace(setting, likeness=fixed.get("likeness", 0.0))
    folds = parted(past, rng)
    known = {setting: _evidence(folds, setting)}
    for _ in range(2):
        for name, values in grid.items():
            for value in values:
                other = dataclasses.replace(setting, **{name: value})
                if other not in known:
                    known[other] = _evidence(folds, other)
            setting = max((dataclasses.replace(setting, **{name: value}) for value in values), key=lambda s: known[s])
    return setting


@dataclasses.dataclass(frozen=True)
class Fold:
    """Past data sets, the rest of them held out, and which of their candidates are asked about."""

    past: Past
    held: Past
    cells: Tensor


def parted(past: Past, rng: Rng) -> list[Fold]:
    """Folds of past data sets: each held out once where they are few, some of each fold where they are many."""
    count = len(past) if len(past) <= 2 * FOLDS else FOLDS
    generator = rng.at("folds").generator()
    parts = torch.randperm(len(past), generator=generator).chunk(count)
    made = []
    for part in parts:
        rest = torch.ones(len(past), dtype=torch.bool)
        rest[part] = False
        inside = _rows(past, rest.nonzero().flatten())
        # Half of them good ones, as those that a search tries are.
        order = inside.scores.mean(0).argsort(descending=True)
        good = order[: CELLS // 2]
        others = order[CELLS // 2 :][torch.randperm(max(len(order) - CELLS // 2, 0), generator=generator)]
        made.append(Fold(inside, _rows(past, part[:MOST]), torch.cat([good, others[: CELLS - len(good)]])))
    return made


def _rows(past: Past, rows: Tensor) -> Past:
    parts = {name: getattr(past, name)[rows] for name in ("scores", "known", "best", "width", "rows")}
    return dataclasses.replace(past, **parts, features=None if past.features is None else past.features[rows])


def _evidence(folds: list[Fold], setting: Setting) -> float:
    """Mean log density of the held-out data sets."""
    total, count = 0.0, 0
    spreads = torch.tensor(SPREADS, dtype=torch.float64).square()[:, None, None, None]
    for fold in folds:
        prior = Prior.of(fold.past, setting, fold.cells)
        z, n = fold.past.encoding[fold.cells], len(fold.cells)
        shared = (1 - setting.smoothness) * torch.eye(n, dtype=torch.float64)
        if setting.smoothness:
            shared = shared + kernel(z, z, setting)
        own = prior.root.T @ prior.root + prior.amplitude.unsqueeze(1) * shared * prior.amplitude
        known = fold.held.known[:, fold.cells]
        noise = torch.where(known if not bool(known.all()) else known[:1], prior.noise, 1e6)
        factor = gp.cholesky(spreads * gp.noisy(own, noise) + prior.location)  # (T, 1 or B, n, n)
        white = gp.whiten(factor, (fold.held.raw[:, fold.cells] - prior.best).unsqueeze(2)).squeeze(-1)
        likely = likelihood(white, gp.whiten(factor, prior.centre.T), prior, factor)  # (T, B, D, S)
        total += float((likely + _near(fold, setting).unsqueeze(2)).movedim(1, 0).flatten(1).logsumexp(1).sum())
        count += len(fold.held)
    return total / count


def _near(fold: Fold, setting: Setting) -> Float[Tensor, "b d"]:
    """Log prior weight of each past data set of a fold for each that is held out."""
    features, scale = standard(fold.past.features, len(fold.past))
    if fold.held.features is None:
        return nearness(features, features.new_zeros(len(fold.held), 0), setting.bandwidth)
    return nearness(features, scaled(fold.held.features, scale), setting.bandwidth)
