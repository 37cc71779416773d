"""States as bytes, in the format of a state file, and back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import safetensors.torch

from ...errors import BadFile
from ...pytree import tree_leaves
from ...state import FORMAT, Envelope, checksum, pack, unpack
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
    """The bytes that `load_state` reads, once they are a file."""
    tensors, plan = pack(learned.state)
    plain = {name: tensor.clone() for name, tensor in tensors.items()}  # safetensors refuses shared memory
    envelope = json.dumps(dataclasses.asdict(learned.envelope))
    facts = {"quickstudy": "state", "format": str(FORMAT), "sha256": checksum(plain)}
    body = safetensors.torch.save(plain, metadata=facts | {"plan": json.dumps(plan), "envelope": envelope})
    return Kept(hashlib.sha256(body).hexdigest(), body)


def unpacked(kept: Kept, cls: type, version: int) -> Learned:
    """The state of class `cls` in these bytes.

    Raises:
        BadFile: they are not those that were kept.
    """
    if hashlib.sha256(kept.body).hexdigest() != kept.sha256:
        raise BadFile("This state was altered after it was kept.")
    try:
        length = int.from_bytes(kept.body[:8], "little")
        about = json.loads(kept.body[8 : 8 + length])["__metadata__"]
        given = json.loads(about["envelope"])
        envelope = Envelope(given["learner"], tuple(given["classes"]), given["kind"], tuple(given["feature"]))
        state: Any = unpack(cls, safetensors.torch.load(kept.body), json.loads(about["plan"]))
    except (KeyError, TypeError, ValueError, AttributeError, safetensors.SafetensorError) as error:
        raise BadFile(f"This state does not fit a {cls.__name__}.") from error
    return Learned(state, envelope, version)
