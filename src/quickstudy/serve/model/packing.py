"""What was learned of a task, in memory and as the store keeps it."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from ...errors import BadFile
from ...pytree import tree_leaves
from ...state import Envelope, from_bytes, to_bytes
from ..store.kept import Kept

OVERHEAD = 2_048  # bytes of a state besides its tensors: names, classes, Python's own


@dataclasses.dataclass(frozen=True)
class Learned:
    """What was learned of one task.

    Args:
        state: of the learner.
        envelope: what its answers mean.
        version: of the task that it was learned from.
    """

    state: Any
    envelope: Envelope
    version: int = 0

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        leaves = [leaf for leaf in tree_leaves(self.state) if hasattr(leaf, "nbytes")]
        return OVERHEAD + sum(leaf.nbytes for leaf in leaves)


def packed(learned: Learned) -> Kept:
    """The bytes of its state file."""
    body = to_bytes(learned.state, learned.envelope)
    return Kept(hashlib.sha256(body).hexdigest(), body)


def unpacked(kept: Kept, cls: type, version: int) -> Learned:
    """The state of class `cls` in these bytes.

    Raises:
        BadFile: they are not those that were kept.
    """
    if hashlib.sha256(kept.body).hexdigest() != kept.sha256:
        raise BadFile("This state was altered after it was kept.")
    return Learned(*from_bytes(kept.body, cls), version)
