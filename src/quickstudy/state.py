"""A learned task is a value: what `adapt` gives back, how it is saved, and the envelope around it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import torch
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from .errors import BadFile
from .pytree import pytree, static
from .storage import write_atomically

FORMAT = 1
S = TypeVar("S")


@pytree
class Envelope:
    """What has to be known to use a saved state: whose it is, and what its answers mean.

    Args:
        learner: hash of the learner's weights (`fingerprint`).
        classes: the name of each answer; empty for regression.
        kind: 'classification' or 'regression'.
        feature: shape of one input.
    """

    learner: str = static()
    classes: tuple[str, ...] = static(())
    kind: str = static("classification")
    feature: tuple[int, ...] = static(())


def fingerprint(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and values of a module's parameters and buffers."""
    return checksum(module.state_dict())


def pack(value: Any, prefix: str = "") -> tuple[dict[str, Tensor], Any]:
    """Take a state apart into named tensors and a JSON description of how they fit together."""
    if isinstance(value, Tensor):
        return {prefix: value.detach().cpu().contiguous()}, "tensor"
    if value is None or isinstance(value, bool | int | float | str):
        return {}, {"value": value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind, items = "state", {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, dict):
        kind, items = "dict", value
    elif isinstance(value, tuple | list):
        kind, items = "tuple", {str(i): v for i, v in enumerate(value)}
    else:
        raise TypeError(
            f"A state is made of tensors, numbers, texts, tuples and dicts, but '{prefix}' is {type(value).__name__}."
        )
    tensors, plan = {}, {}
    for name, item in items.items():
        part, plan[name] = pack(item, f"{prefix}/{name}" if prefix else name)
        tensors.update(part)
    return tensors, {kind: plan}


def unpack(cls: type[S], tensors: dict[str, Tensor], plan: Any) -> S:
    """Put a state of class `cls` together again; its class comes from the learner, never from the file.

    A class whose fields hold states of other classes names these in `inside`, by field.
    """
    made = _unpack(tensors, plan, "", cls)
    if not isinstance(made, cls):
        raise BadFile(f"This file does not hold a {cls.__name__}.")
    return made


def _unpack(tensors: dict[str, Tensor], plan: Any, prefix: str, cls: type | None = None) -> Any:
    if plan == "tensor":
        return tensors[prefix]
    kind, items = next(iter(plan.items()))
    if kind == "value":
        return items
    inside: dict[str, type] = getattr(cls, "inside", {})
    values = {k: _unpack(tensors, p, f"{prefix}/{k}" if prefix else k, inside.get(k)) for k, p in items.items()}
    if kind == "tuple":
        return tuple(values[str(i)] for i in range(len(values)))
    if kind == "state" and cls is not None:
        return cls(**values)
    return values


def to_bytes(state: Any, envelope: Envelope) -> bytes:
    """A state and its envelope as safetensors (nothing in it can be executed)."""
    tensors, plan = pack(state)
    about = {"plan": json.dumps(plan), "envelope": json.dumps(dataclasses.asdict(envelope))}
    return _encoded("state", FORMAT, tensors, about)


def from_bytes(body: bytes, cls: type[S]) -> tuple[S, Envelope]:
    """A state of class `cls` (a learner's `State`) and its envelope, from what `to_bytes` gave.

    Raises:
        BadFile: not a state, of a newer format, truncated or altered.
    """
    try:
        length = int.from_bytes(body[:8], "little")
        about = json.loads(body[8 : 8 + length]).get("__metadata__", {})
        tensors = load(body)
    except (ValueError, AttributeError, safetensors.SafetensorError) as error:
        raise BadFile(f"This state cannot be read ({error}); it is truncated or not in safetensors' format.") from error
    _check(tensors, about, "state", FORMAT, "")
    return _state(tensors, about, cls, "")


def save_state(state: Any, path: str | Path, envelope: Envelope) -> None:
    """Write a state and its envelope to one file that `load_state` reads."""
    write_atomically(Path(path), to_bytes(state, envelope))


def load_state(path: str | Path, cls: type[S]) -> tuple[S, Envelope]:
    """Read a state of class `cls` (a learner's `State`) and its envelope.

    Raises:
        BadFile: not a state, of a newer format, truncated or altered.
    """
    return _state(*read_tensors(path, "state", FORMAT), cls, f" in {path}")


def _state(tensors: dict[str, Tensor], about: dict[str, str], cls: type[S], where: str) -> tuple[S, Envelope]:
    try:
        fields = json.loads(about["envelope"])
        envelope = Envelope(
            fields["learner"], tuple(fields["classes"]), fields["kind"], tuple(int(d) for d in fields["feature"])
        )
        return unpack(cls, tensors, json.loads(about["plan"])), envelope
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadFile(f"The state{where} does not fit a {cls.__name__}: {error}.") from error


def checksum(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over named tensors; safetensors itself would let altered values pass."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def write_tensors(path: str | Path, what: str, number: int, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    """Write tensors and texts to one safetensors file that `read_tensors` reads: whole or not at all, with a checksum.

    Args:
        what: kind of the file ('state', 'checkpoint', 'learner').
        number: of its format.
    """
    write_atomically(Path(path), _encoded(what, number, tensors, about))


def _encoded(what: str, number: int, tensors: dict[str, Tensor], about: dict[str, str]) -> bytes:
    # Copies, since safetensors refuses tensors that share memory, as tied weights do.
    plain = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    facts = {"quickstudy": what, "format": str(number), "sha256": checksum(plain), **about}
    return save(plain, metadata=facts)


def read_tensors(path: str | Path, what: str, newest: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata of one of our safetensors files, checked against its checksum.

    Raises:
        BadFile: missing, truncated, altered, of another kind or of a newer format; the message says which.
    """
    path = Path(path)
    if not path.is_file():
        raise BadFile(f"There is no {what} at {path}.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        tensors = load_file(path)
    except Exception as error:  # safetensors raises several kinds, all of them meaning this
        raise BadFile(
            f"The {what} at {path} cannot be read ({error}); it is truncated or not a safetensors file."
        ) from error
    _check(tensors, about, what, newest, f" at {path}")
    return tensors, about


def _check(tensors: dict[str, Tensor], about: dict[str, str], what: str, newest: int, where: str) -> None:
    if about.get("quickstudy") != what:
        raise BadFile(f"The file{where} is not a quickstudy {what} (it says: {about.get('quickstudy', 'nothing')}).")
    if not about.get("format", "").isdecimal():
        raise BadFile(f"The {what}{where} does not say which format it has; it is damaged.")
    if int(about["format"]) > newest:
        raise BadFile(
            f"The {what}{where} is of format {about['format']}, newer than {newest}, the newest known here; update"
            " quickstudy."
        )
    if checksum(tensors) != about.get("sha256"):
        raise BadFile(f"The {what}{where} has been altered: its tensors do not match the checksum it was saved with.")
