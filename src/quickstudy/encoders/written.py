"""An encoder as a table of plain values, and back: how a bundle keeps the one that its learner needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..arguments import parameters
from ..errors import BadFile, QuickstudyError, UnknownName
from .choice import CHOICES, FITTED
from .protocol import Encoder
from .series import Series
from .tables import Scale, Table


def write_encoder(encoder: Encoder) -> dict[str, Any]:
    """Name, options and identity; what was fitted to rows of meta-train is among the options.

    >>> from .text import HashedNGrams
    >>> write_encoder(HashedNGrams(8))["width"]
    8
    """
    choice = next(c for c in CHOICES if type(encoder) is c.maker)
    about = {"name": choice.name, "identity": encoder.identity}
    if isinstance(encoder, Table | Series):
        return about | dataclasses.asdict(encoder)
    return about | {option: getattr(encoder, option) for option in parameters(choice.maker)}


def read_encoder(table: Mapping[str, Any]) -> Encoder:
    """The encoder that `write_encoder` described.

    Raises:
        BadFile: the table is damaged; or what it names gives other features here, since its weights are others.
        UserError: what it needs is not installed.

    >>> from .text import HashedNGrams
    >>> read_encoder(write_encoder(HashedNGrams(8))).feature
    (8,)
    """
    options = {key: value for key, value in table.items() if key not in ("name", "identity")}
    try:
        name, identity = str(table["name"]), table["identity"]
        known = {choice.name: choice for choice in CHOICES}
        if name not in known:
            raise UnknownName.among("encoder", name, known)
        made: Encoder = (
            _fitted(name, options) if known[name].modality in FITTED else known[name].maker(**_tuples(options))
        )
    except QuickstudyError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadFile(f"The encoder of this bundle is damaged ({error!r}); get the bundle again.") from error
    if made.identity != identity:
        raise BadFile(
            f"The encoder '{name}' gives other features here than where the bundle was made ({made.identity[:60]}, not"
            f" {str(identity)[:60]}); install the version that it was made with."
        )
    return made


def _fitted(name: str, options: dict[str, Any]) -> Encoder:
    if name == "series":
        return Series(tuple(Scale(**scale) for scale in options.pop("channels")), **options)
    categorical = tuple((column, tuple(categories)) for column, categories in options.pop("categorical"))
    return Table(tuple(Scale(**scale) for scale in options.pop("numeric")), categorical, **options)


def _tuples(options: dict[str, Any]) -> dict[str, Any]:
    """Lists, which is what files make of tuples, as tuples again."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
