"""What every source of tasks can do."""

from __future__ import annotations

import abc
import copy
import hashlib
from typing import Any, Self

import torch

from ..errors import UnknownName, UserError
from ..pytree import tree_leaves
from ..rng import Rng
from ..task import Task, batch_size
from .pool import SPLITS


class TaskSource(abc.ABC):
    """Episode number in, task out.

    `sample(first, count)` depends on the seed, the split and the episode numbers alone: the same episodes whatever the
    batch, the workers, or a resume.

    Attributes:
        split: 'train', 'validation' or 'test'; the three share no class, no group and no example.
        seed: the other half of the key.
    """

    name: str
    split: str = "train"
    seed: int = 0

    @abc.abstractmethod
    def sample(self, first: int, count: int) -> Task:
        """Episodes first, first + 1, ... as one batch of tasks, padded and masked where they differ in shape."""

    @property
    @abc.abstractmethod
    def protocol(self) -> dict[str, Any]:
        """What a result must say about these tasks: ways, shots, queries and the like."""

    @property
    def rng(self) -> Rng:
        """The key of this split's episodes."""
        return Rng(self.seed, ("episodes", self.split))

    def of(self, split: str) -> Self:
        """The same kind of task from another split."""
        if split not in SPLITS:
            raise UnknownName.among("split", split, SPLITS)
        return self.replaced(split=split)

    @property
    def train(self) -> Self:
        """Tasks to learn from."""
        return self.of("train")

    @property
    def validation(self) -> Self:
        """Tasks to choose by."""
        return self.of("validation")

    @property
    def test(self) -> Self:
        """Tasks to judge by, once."""
        return self.of("test")

    def replaced(self, **options: Any) -> Self:
        """The same source with other options: `source.replaced(shots=5)`."""
        other = copy.copy(self)
        for name, value in options.items():
            if not hasattr(other, name):
                raise UnknownName.among("option", name, [n for n in vars(self) if not n.startswith("_")])
            setattr(other, name, value)
        other.prepare()
        return other

    def prepare(self) -> None:  # noqa: B027 (a source may have nothing to check)
        """Check the options together and compute what depends on them; called whenever they change."""

    def manifest(self, tasks: int, *, first: int = 0, batch: int = 64) -> str:
        """SHA-256 of the content of some episodes: two learners with one manifest met exactly the same tasks."""
        if tasks < 1:
            raise UserError(f"Asked for {tasks} tasks; ask for at least one.")
        digest = hashlib.sha256()
        for start in range(first, first + tasks, batch):
            digest.update(content_hash(self.sample(start, min(batch, first + tasks - start))))
        return digest.hexdigest()


def content_hash(tasks: Task) -> bytes:
    """SHA-256 over every task of a batch, so that a batch of two hashes as two batches of one."""
    digest = b""
    for i in range(batch_size(tasks)):
        one = hashlib.sha256()
        # Where numbers of pool rows are known they say everything; inputs themselves are read only where they are not.
        numbered = tasks.origin is not None and bool((tasks.origin.support >= 0).any())
        parts = (tasks.origin, tasks.support.y, tasks.query.y) if numbered else tasks
        # Masks too: with another number of shots the rows are the same, and only fewer of them count.
        masks = [side.mask for side in (tasks.support, tasks.query) if numbered and side.mask is not None]
        for leaf in tree_leaves(parts) + masks:
            one.update(leaf[i].contiguous().flatten().view(torch.uint8).numpy().tobytes())
        digest += one.digest()
    return digest
