"""Selectors whose expectations are forests: a regression of every candidate's score on the meta-features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ....errors import UserError
from ....extras import brought_in
from ....functional.solvers.forest import Forest, tree_answers
from .selector import Selector


class Forested(Selector):
    """A selector that keeps a forest as tensors: scikit-learn grows it, but is not needed to answer or to load it.

    Args:
        trees: in a forest.
        leaf: data sets that a leaf holds at least.
        share: of the features that a split looks at.
        folds: see `Selector`.

    Raises:
        UserError: options that make no forest; (in meta_fit) scikit-learn is not there.
    """

    def __init__(self, *, trees: int, leaf: int, share: float, folds: int):
        super().__init__(folds=folds)
        if trees < 1 or leaf < 1 or not 0 < share <= 1:
            raise UserError(f"A forest has trees >= 1, leaf >= 1 and 0 < share <= 1; got {trees}, {leaf}, {share}.")
        self.trees, self.leaf, self.share = trees, leaf, share
        for name in Forest._fields:
            self.register_buffer(name, torch.zeros(0))

    @property
    def forest(self) -> Forest:
        """What was grown."""
        return Forest(*(getattr(self, name) for name in Forest._fields))

    def keep(self, forest: Forest) -> None:
        """Answer by this forest from now on."""
        for name, part in forest._asdict().items():
            setattr(self, name, part)


class PerAlgorithm(Forested):
    """A regression for each candidate, all by one forest whose splits serve all of them together.

    Args:
        trees: in the forest.
        leaf: data sets that a leaf holds at least.
        share: of the features that a split looks at.
        folds: see `Selector`.

    Source: per-algorithm regression, SATzilla (Xu et al. 2008, arXiv:1111.2249); trees, Geurts et al. 2006
    (doi:10.1007/s10994-006-6226-1).
    """

    def __init__(self, *, trees: int = 100, leaf: int = 1, share: float = 0.4, folds: int = 5):
        super().__init__(trees=trees, leaf=leaf, share=share, folds=folds)

    def fit(self, features: Float[Tensor, "D m"], scores: Float[Tensor, "D C"]) -> None:
        self.keep(grown(features, scores, self.trees, self.leaf, self.share))

    def expected(self, features: Float[Tensor, "q m"]) -> Float[Tensor, "q C"]:
        return tree_answers(self.forest, features).mean(1)


def grown(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "n k"],
    trees: int,
    leaf: int,
    share: float,
    weight: Float[Tensor, " n"] | None = None,
) -> Forest:
    """Extremely randomised trees of scikit-learn, as tensors; examples may differ in weight."""
    ensemble = brought_in("sklearn.ensemble", "Growing a forest", "sklearn")
    model = ensemble.ExtraTreesRegressor(trees, min_samples_leaf=leaf, max_features=share, random_state=0)
    given = None if weight is None or not bool((weight > 0).any()) else weight.numpy()
    model.fit(x.numpy(), y.squeeze(1).numpy() if y.shape[1] == 1 else y.numpy(), given)
    return joined([_laid_out(estimator.tree_) for estimator in model.estimators_])


def _laid_out(tree: object) -> Forest:
    left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)  # type: ignore[attr-defined]
    own, leaf = np.arange(len(left)), left < 0
    parts = (
        np.where(leaf, 0, tree.feature),  # type: ignore[attr-defined]
        np.where(leaf, 0.0, tree.threshold),  # type: ignore[attr-defined]
        np.where(leaf, own, left),
        np.where(leaf, own, right),
        tree.value[..., 0],  # type: ignore[attr-defined]
        np.zeros(1, dtype=np.int64),
        np.array(tree.max_depth),  # type: ignore[attr-defined]
    )
    return Forest(*(torch.from_numpy(np.array(part)) for part in parts))


def joined(forests: Sequence[Forest]) -> Forest:
    """The trees of all, in turn."""
    sizes = torch.tensor([len(forest.column) for forest in forests])
    first = (sizes.cumsum(0) - sizes).tolist()

    def moved(name: str) -> Tensor:
        return torch.cat([getattr(forest, name) + start for forest, start in zip(forests, first, strict=True)])

    same = {name: torch.cat([getattr(f, name) for f in forests]) for name in ("column", "threshold", "value")}
    depth = torch.stack([forest.depth for forest in forests]).amax()
    return Forest(left=moved("left"), right=moved("right"), roots=moved("roots"), depth=depth, **same)
