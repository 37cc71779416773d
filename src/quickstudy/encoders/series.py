"""Series of different lengths as one tensor, scaled by what is usual in meta-train; what is missing is marked."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import BadExamples, UserError
from ..machine import memory_available
from .protocol import BadInputs
from .tables import Scale


@dataclasses.dataclass(frozen=True)
class Series:
    """Series of different lengths as (channels, and for each whether it is known, time), channels as of a picture.

    It is scaled by series of meta-train alone; of the others nothing but the length is looked at. Behind the end of a
    series, and where a value is missing, there are zeros, and the second half of the channels says so.

    Args:
        channels: what is usual in each.
        length: points of time that are read.
        cut: whether longer series are cut, at their end; otherwise they are an error.

    >>> series = [np.array([[0.], [1.], [1.]]), np.array([[1.]])]
    >>> Series.fit(series)(series)[1]
    tensor([[1., 0., 0.],
            [1., 0., 0.]])
    """

    modality: ClassVar[str] = "series"
    channels: tuple[Scale, ...]
    length: int
    cut: bool = False

    @classmethod
    def fit(
        cls,
        inputs: Sequence[np.ndarray],
        train: np.ndarray | None = None,
        *,
        length: int | None = None,
        scaled: bool = True,
    ) -> Series:
        """The one for such series.

        Args:
            inputs: all series, (length, channels) each.
            train: numbers (or a mask) of those of meta-train; None: all are.
            length: where longer ones are cut; None: as long as the longest of these, and longer ones are an error.
            scaled: False leaves numbers as they are.
        """
        if not len(inputs) or (length is not None and length < 1):
            raise UserError(
                f"Series are padded to a length of 1 or more; got {len(inputs)} series and length={length}."
            )
        rows = np.arange(len(inputs))[slice(None) if train is None else train]
        widths = {np.shape(inputs[row])[1:] for row in rows}
        if len(widths) != 1 or len(next(iter(widths))) != 1:
            raise BadExamples(f"Series are (length, channels), with as many channels each; got {sorted(widths)}.")
        stacked = np.concatenate([inputs[row] for row in rows])
        scales = tuple(Scale.of(f"channel {i}", stacked[:, i], scaled=scaled) for i in range(stacked.shape[1]))
        return cls(scales, length or max(len(one) for one in inputs), length is not None)

    @property
    def identity(self) -> str:
        return f"series 1 {hashlib.sha256(repr(self).encode()).hexdigest()}"

    @property
    def feature(self) -> tuple[int, ...]:
        return (2 * len(self.channels), self.length)

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """(n, 2 * channels, length) float32.

        Raises:
            BadInputs: a series that is too long, or has other channels.
            UserError: together they do not fit into memory.
        """
        room = 4 * len(inputs) * self.feature[0] * self.length
        if room > memory_available():
            raise UserError(
                f"{len(inputs):,} series of {len(self.channels)} channels, padded to {self.length:,}, take"
                f" {room / 1e9:.1f} GB, and {memory_available() / 1e9:.1f} GB are free; cut them with length=..."
            )
        made, problems = np.zeros((len(inputs), *self.feature), dtype=np.float32), {}
        c = len(self.channels)
        for row, one in enumerate(inputs):
            if np.ndim(one) != 2 or np.shape(one)[1] != c or (len(one) > self.length and not self.cut):
                problems[row] = f"is {np.shape(one)}, not (at most {self.length:,}, {c})"
                continue
            head = np.asarray(one)[: self.length]
            for i, scale in enumerate(self.channels):
                made[row, i, : len(head)] = scale(head[:, i])
            made[row, c:, : len(head)] = ~np.isnan(head.T)
        if problems:
            raise BadInputs(problems, "Leave them out, or fit with length=... to cut longer ones.")
        return torch.from_numpy(made)
