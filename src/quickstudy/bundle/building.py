"""The learner that a recipe describes, made and filled with the weights that were saved beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import BadFile, UserError
from ..learner import Learner
from ..registry import CUSTOM, build
from ..rng import Rng, forked
from ..version import __version__


def built(folder: Path, table: Mapping[str, Any], version: str, modules: Mapping[str, nn.Module]) -> Learner:
    """The learner of a [learner] table, with first weights.

    Args:
        folder: of the bundle, for messages.
        table: name and options.
        version: of quickstudy that wrote it.
        modules: parts of a user's own classes, by the name of their argument.

    Raises:
        UserError: such a part was not handed over.
        BadFile: it cannot be made.
    """
    for key, named in _custom("learner", table):
        if key not in modules:
            raise UserError(
                f"The {key} in {folder} is a {named}, which quickstudy does not know, and nothing is imported because a"
                f" file names it. Make it and hand it over: load_bundle(folder, {key}={named.rpartition('.')[2]}(...))."
            )
    try:
        # First weights are drawn and then replaced; the key only keeps the global generator where it is.
        with forked(Rng(0)):
            made = build("learner", table, **modules)
    except UserError as error:
        hint = "" if version == __version__ else f" It was made by quickstudy {version}, this is {__version__}."
        raise BadFile(f"The learner in {folder} cannot be made here: {error}{hint}") from error
    if not isinstance(made, Learner):
        raise UserError(f"learner=... of {folder} should be a Learner, not {type(made).__name__}.")
    return made


def _custom(key: str, table: Any) -> Iterator[tuple[str, str]]:
    """Argument and class of every part that is not in the catalogue."""
    if isinstance(table, Mapping):
        if table.get("name") == CUSTOM:
            yield key, str(table.get("class", "class"))
        for inner, value in table.items():
            yield from _custom(inner, value)


def fill(learner: Learner, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Put the tensors in the place of a learner's weights.

    Raises:
        BadFile: they do not fit.
    """
    # Tied weights have two names and are one tensor.
    own = {
        **dict(learner.named_parameters(remove_duplicate=False)),
        **dict(learner.named_buffers(remove_duplicate=False)),
    }
    own = {name: own[name] for name in learner.state_dict()}
    odd = [n for n in [*own, *tensors] if n not in own or n not in tensors or not _takes(own[n], tensors[n])]
    if odd:
        here, there = (tuple(t[odd[0]].shape) if odd[0] in t else "missing" for t in (own, tensors))
        raise BadFile(
            f"The weights in {folder} do not fit its learner: '{odd[0]}' is {there} in the file, but {here} in the"
            f" {type(learner).__name__} that its recipe and the parts handed over make."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            # Copied, not put in its place: the layout in memory that a net chose for itself stays.
            tensor.data = tensor.data.to(tensors[name].dtype)
            if tensor.shape != tensors[name].shape:
                tensor.data = torch.empty_like(tensors[name])
            tensor.copy_(tensors[name])


def _takes(own: Tensor, saved: Tensor) -> bool:
    """Whether one may stand for the other; what `meta_fit` fills is empty before it, of whatever size afterwards."""
    return own.shape == saved.shape or not own.numel()
