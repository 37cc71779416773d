"""A labelled set that tasks are drawn from: what was measured, which class it is, and which side of the split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import BadExamples, OverlappingSplits, UnknownName

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Pool:
    """Examples with a class each; classes with a group (an alphabet, a script, a patient) and a split each.

    The split is a property of the class, so no class can stand on two sides. `x` may be a view of a memory-mapped
    file: rows are read when a task needs them.

    Args:
        name: what results call this set.
        x: (N, *feature), uint8 (scaled to 0..1 when a task is drawn) or a floating type (left as it is).
        y: (N,) integer class of each row, 0..C-1.
        classes: C names.
        groups: C names of the group that each class belongs to.
        split: C of 'train', 'validation', 'test' or '' (left out).
        origin: (N,) the drawing that a row was made from: rotations and copies of one image share a number.
        descriptions: (C, *d) what is known of each class without an example (attributes, a printed shape), of a
            floating type or uint8 as `x`; None where nothing is.

    Raises:
        BadExamples: lengths or types that do not fit together. Values are looked at when a task is drawn, not here:
            `x` may be larger than the memory.
    """

    name: str
    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    split: tuple[str, ...]
    origin: Tensor | None = None
    descriptions: Tensor | None = None

    def __post_init__(self) -> None:
        n, c = len(self.x), len(self.classes)
        if not n:
            raise BadExamples(f"The pool '{self.name}' holds no examples; give at least one row of x.")
        if self.y.shape != (n,) or self.y.dtype != torch.int64:
            raise BadExamples(
                f"The pool '{self.name}' has {n} rows, but y is {tuple(self.y.shape)} of {self.y.dtype}; it must be"
                f" ({n},) of torch.int64. Pool.of(x, labels) numbers labels of any kind."
            )
        if len(self.groups) != c or len(self.split) != c:
            raise BadExamples(f"{c} classes need {c} groups and {c} splits; got {len(self.groups)}, {len(self.split)}.")
        if self.descriptions is not None and len(self.descriptions) != c:
            raise BadExamples(f"{c} classes need {c} descriptions, not {len(self.descriptions)}.")
        if int(self.y.min()) < 0 or int(self.y.max()) >= c:
            raise BadExamples(f"y runs from {int(self.y.min())} to {int(self.y.max())}, but there are {c} classes.")
        unknown = set(self.split) - {*SPLITS, ""}
        if unknown:
            raise UnknownName.among("split", unknown.pop(), SPLITS)

    @classmethod
    def of(
        cls,
        x: Tensor | np.ndarray,
        labels: Sequence[object] | np.ndarray | Tensor,
        *,
        groups: Mapping[object, str] | None = None,
        split: Mapping[object, str] | None = None,
        name: str = "examples",
    ) -> Pool:
        """A pool from any labels (strings, gaps, floats): they are sorted and numbered, and their names kept.

        Args:
            groups: label -> group; without it each class is its own group.
            split: label -> 'train', 'validation' or 'test'; without it every class is for training.

        >>> pool = Pool.of(torch.zeros(4, 2), ["b", "a", "b", "a"])
        >>> pool.classes, pool.y.tolist()
        (('a', 'b'), [1, 0, 1, 0])
        """
        rows = torch.as_tensor(x)
        values = labels.tolist() if isinstance(labels, np.ndarray | Tensor) else list(labels)
        if isinstance(labels, np.ndarray | Tensor) and labels.ndim != 1:
            raise BadExamples(f"Labels are one a row, not {tuple(labels.shape)}; of one-hot rows take argmax(1).")
        if len(values) != len(rows):
            raise BadExamples(f"x has {len(rows)} rows, but there are {len(values)} labels; give one label a row.")
        if any(v is None or v != v for v in values):
            row = next(i for i, v in enumerate(values) if v is None or v != v)
            raise BadExamples(f"The label of row {row} is missing (NaN or None); leave such rows out.")
        kinds = sorted(set(values), key=lambda v: (str(type(v)), v))
        number = {v: i for i, v in enumerate(kinds)}
        homeless = [v for v in kinds if groups is not None and v not in groups]
        if homeless:
            raise BadExamples(f"{len(homeless)} labels have no group, '{homeless[0]}' among them; name one for each.")
        return cls(
            name=name,
            x=rows,
            y=torch.tensor([number[v] for v in values], dtype=torch.int64),
            classes=tuple(str(v) for v in kinds),
            groups=tuple(str(groups[v]) if groups else str(v) for v in kinds),
            split=tuple(split.get(v, "") if split else "train" for v in kinds),
        )

    @property
    def kind(self) -> str:
        """What a label is: a class."""
        return "classification"

    def members(self, split: str) -> Tensor:
        """The class numbers of one split, ascending."""
        if split not in SPLITS:
            raise UnknownName.among("split", split, SPLITS)
        return torch.tensor([i for i, s in enumerate(self.split) if s == split], dtype=torch.int64)

    def resplit(self, fractions: tuple[float, float, float], *, by: str = "group", seed: int = 0) -> Pool:
        """The same examples with classes dealt anew to train, validation and test; whole groups unless by='class'.

        Raises:
            OverlappingSplits: too few groups to give each wanted split one of its own, or classes that share drawings.
        """
        if by not in ("group", "class"):
            raise UnknownName.among("way to split by", by, ("group", "class"))
        if by == "class" and self.origin is not None:
            raise OverlappingSplits(
                f"The classes of '{self.name}' share drawings (rotations), so splitting by class would put copies"
                " of one on two sides; split first and rotate then, or use by='group'."
            )
        keys = self.groups if by == "group" else self.classes
        names = sorted(set(keys))
        order = np.random.default_rng(seed).permutation(len(names))
        wanted = np.asarray(fractions, dtype=float) / sum(fractions)
        counts = np.floor(wanted * len(names)).astype(int)
        counts[(counts == 0) & (wanted > 0)] = 1
        first = int(np.argmax(wanted > 0))  # what rounding leaves over goes to the first split that is wanted
        counts[first] += len(names) - counts.sum()
        while counts[first] < 1 and counts.max() > 1:  # a split that was raised to one took it from there
            counts[counts.argmax()] -= 1
            counts[first] += 1
        if counts[first] < 1:
            few = f"{len(names)} {'groups' if by == 'group' else 'classes'}"
            remedy = "use by='class'" if by == "group" else "ask for fewer splits"
            raise OverlappingSplits(f"{few} cannot fill {int((wanted > 0).sum())} splits with one each; {remedy}.")
        sides = np.repeat(SPLITS, counts)
        side = {names[i]: str(s) for i, s in zip(order, sides, strict=True)}
        return dataclasses.replace(self, split=tuple(side[k] for k in keys))

    def rotated(self) -> Pool:
        """Each class four times, turned by 0, 90, 180 and 270 degrees: rotations become new classes.

        The split of a class goes to its rotations, so a turned test class is never met in training
        (the published Omniglot protocols; rotating before splitting is a leak).

        Raises:
            BadExamples: the examples are not square images, or classes have descriptions, which cannot be turned.
        """
        if self.descriptions is not None:
            raise BadExamples(f"The classes of '{self.name}' are described, and a turned class would be another one.")
        if self.x.dim() < 3 or self.x.shape[-1] != self.x.shape[-2]:
            raise BadExamples(f"Only square images can be turned; '{self.name}' holds {tuple(self.x.shape[1:])}.")
        c = len(self.classes)
        return Pool(
            name=f"{self.name}+rotations",
            x=torch.cat([torch.rot90(self.x, k, (-2, -1)) for k in range(4)]),
            y=torch.cat([self.y + k * c for k in range(4)]),
            classes=tuple(f"{name}/rot{90 * k:03d}" for k in range(4) for name in self.classes),
            groups=self.groups * 4,
            split=self.split * 4,
            origin=(torch.arange(len(self.x)) if self.origin is None else self.origin).repeat(4),
        )
