"""What an encoder is, and how it says which of its inputs it cannot take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from ..errors import BadExamples

SHOWN = 5  # bad rows that a message names


class Encoder(Protocol):
    """Makes tensors of raw inputs; frozen, so that what it made can be kept and never made again.

    Its arguments are kept as attributes of their names, so a table describes it. Making one is quick: weights are read
    when they are asked for.

    Attributes:
        modality: 'image', 'text', 'molecule', 'features' or 'series': what it reads.
        identity: everything that its answers depend on, besides the input: name and version, options, hash of weights.
        feature: shape of one encoded input.
    """

    @property
    def modality(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def feature(self) -> tuple[int, ...]: ...

    def __call__(self, inputs: Any) -> Tensor:
        """(n, *feature) of float32 or uint8 (which sources scale to 0..1); each row depends on its input alone.

        Raises:
            BadInputs: some of them cannot be encoded.
        """
        ...


class BadInputs(BadExamples):
    """Rows that an encoder cannot take, and why; rows count from 0.

    Args:
        problems: row -> what is wrong with it, as words that go on after "row 3".
        remedy: one sentence.

    >>> str(BadInputs({3: "is empty"}, "Leave it out."))
    'Row 3 is empty. Leave it out. (Rows count from 0.)'
    """

    def __init__(self, problems: Mapping[int, str], remedy: str):
        self.problems, self.remedy = dict(problems), remedy
        named = [f"row {row:,} {self.problems[row]}" for row in sorted(self.problems)[:SHOWN]]
        more = len(self.problems) - len(named)
        words = "; ".join(named) + (f"; and {more:,} more" if more else "")
        super().__init__(f"R{words[1:]}. {remedy} (Rows count from 0.)")

    def moved(self, rows: Sequence[int]) -> BadInputs:
        """The same for inputs that were taken out of a longer list, where they stand at `rows`."""
        return BadInputs({rows[row]: problem for row, problem in self.problems.items()}, self.remedy)
