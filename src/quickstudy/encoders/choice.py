"""Which encoder for what: names, defaults, and what is ready on this machine."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from ..arguments import parameters
from ..errors import UnknownName, UserError
from ..tasks.datasets.download import Progress
from ..tasks.own.rows import Rows
from .cache.encoded import encoded
from .protocol import BadInputs, Encoder
from .trained.by_name import MINILM
from .trained.mobilenet_v2 import weights_here

FITTED = ("features", "series")  # what is scaled by rows of meta-train, and too quick to make to be kept


@dataclasses.dataclass(frozen=True)
class Choice:
    """An encoder that has a name.

    Args:
        name: of it; 'timm:' is followed by the name of a model.
        modality: what it reads.
        what: one line for people.
        target: 'module:Class', so that nothing is imported early.
        ready: whether it works here, without installing or fetching anything.
    """

    name: str
    modality: str
    what: str
    target: str
    ready: Callable[[], bool] = lambda: True

    @property
    def maker(self) -> Any:
        """The class."""
        module, name = self.target.split(":")
        return getattr(importlib.import_module(module, __package__), name)


def _installed(*modules: str) -> Callable[[], bool]:
    return lambda: all(importlib.util.find_spec(module) is not None for module in modules)


# The first of a modality that is ready is its default.
CHOICES = (
    Choice(
        "mobilenet-v2",
        "image",
        "1,280 features of a network trained on ImageNet (14 MB to fetch)",
        ".trained.mobilenet_v2:MobileNetV2",
        lambda: weights_here() is not None,
    ),
    Choice("pixels", "image", "pixels of one size, for a network that is trained on them", ".images:Pixels"),
    Choice(
        "timm:", "image", "features of a model of timm: its name or folder", ".trained.by_name:Timm", _installed("timm")
    ),
    Choice(
        "minilm",
        "text",
        "384 features of all-MiniLM-L6-v2 (extra 'text')",
        ".trained.by_name:Sentences",
        _installed(MINILM, "sentence_transformers"),
    ),
    Choice("hashed-n-grams", "text", "words and pieces of words, counted", ".text:HashedNGrams"),
    Choice(
        "sentences:",
        "text",
        "features of a model of sentence-transformers or transformers: its name or folder (extra 'text')",
        ".trained.by_name:Sentences",
        _installed("sentence_transformers"),
    ),
    Choice("morgan", "molecule", "fingerprints by rdkit (extra 'molecules')", ".molecules:Morgan", _installed("rdkit")),
    Choice("table", "features", "numbers scaled, categories as 0 or 1, gaps marked", ".tables:Table"),
    Choice("series", "series", "padded to one length, gaps marked", ".series:Series"),
)


def choices(modality: str) -> tuple[Choice, ...]:
    """The encoders that read a modality, best first.

    >>> [choice.name for choice in choices("text")]
    ['minilm', 'hashed-n-grams', 'sentences:']
    """
    return tuple(choice for choice in CHOICES if choice.modality == modality)


def encoder_for(rows: Rows, name: str | None = None, *, train: np.ndarray | None = None, **options: Any) -> Encoder:
    """The encoder of that name for the inputs of these rows.

    Args:
        rows: what is to be encoded.
        name: one of `choices(rows.modality)`; None: the best that is ready here, so nothing is fetched unasked.
        train: numbers (or a mask) of the rows of meta-train. Tables and series are scaled by these alone; without them
            nothing is scaled, so that no test row is looked at.
        options: of the encoder, by name.

    Raises:
        UnknownName: no encoder of that name reads this modality, or it has no such option.

    >>> rows = Rows("mail", "text", ["a", "b"], np.array(["x", "y"]), "classification", None)
    >>> encoder_for(rows, "hashed-n-grams", width=64).feature
    (64,)
    """
    known = choices(rows.modality)
    if name is None:
        choice, model = next((c for c in known if c.ready()), known[0]), ""
    else:
        start, colon, model = name.partition(":")
        found = [c for c in known if c.name == start + colon and bool(model) == bool(colon)]
        if not found:
            raise UnknownName.among(
                f"encoder of {rows.modality}", name, [c.name + "MODEL" * (c.name[-1] == ":") for c in known]
            )
        choice = found[0]
    fitted = choice.modality in FITTED
    maker = choice.maker.fit if fitted else choice.maker
    _check_options(choice.name, maker, options)
    if model:
        return maker(model, **options)
    if not fitted:
        return maker(**options)
    if train is not None and not np.arange(len(rows))[train].size:
        raise UserError("None of the rows is in meta-train, so nothing says how to scale them.")
    return maker(rows.inputs, train, **{"scaled": train is not None, **options})


def _check_options(name: str, maker: Any, options: dict[str, Any]) -> None:
    known = set(parameters(maker)) - {"model", "columns", "inputs", "train"}
    for option in options:
        if option not in known:
            raise UnknownName.among(f"option of the encoder '{name}' called", option, known)


def encode(rows: Rows, encoder: Encoder, progress: Progress | None = None) -> tuple[Rows, Tensor]:
    """The rows that can be encoded, with what is made of each; the others stand in the account of what was left out.

    Raises:
        NotEnoughExamples: none of them can be.

    >>> rows = Rows("steps", "series", [np.ones((2, 1)), np.ones(7)], np.array(["x", "y"]), "classification", None)
    >>> rows, x = encode(rows, encoder_for(rows, train=np.array([0])))
    >>> len(x), rows.dropped[0].examples
    (1, ('row 1 is (7,), not (at most 7, 1)',))
    """
    while True:
        try:
            made = encoder(rows.inputs) if rows.modality in FITTED else encoded(encoder, rows.inputs, progress)
            return rows, made
        except BadInputs as error:
            out = np.zeros(len(rows), dtype=bool)
            out[list(error.problems)] = True
            told = [f"row {row:,} {problem}" for row, problem in sorted(error.problems.items())]
            rows = rows.without(out, "inputs that cannot be encoded", told)
