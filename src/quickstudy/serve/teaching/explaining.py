"""What an answer rests on: examples near it, what each of them did for it, parts of the picture, words, columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...bundle import Bundle
from ...encoders.tables import Table
from ...study.diagnosis import influence, nearest_support, occlusion, words
from ...study.diagnosis.answers import columns
from ..inputs.pictures import shown
from ..inputs.reading import Input, gathered
from ..model.batched import Support

MOST = 40  # examples that each are left out once; more would keep others waiting
NEAREST = 5
WORDS = 100  # of a longer text several are left out together
PARTS = 5  # of a side of a picture that an encoder reads, which takes long


def explained(bundle: Bundle, support: Support, ids: Sequence[str], asked: Input, x: Tensor) -> dict[str, Any]:
    """Why the answer to one question is what it is.

    Args:
        bundle: whose learner answers.
        support: all examples of the task.
        ids: of them.
        asked: the question as it came.
        x: (1, *feature) the question in numbers.

    Returns:
        `nearest`: the examples nearest to it; `influence`: log-probability (nats) or units of the target that the
        answer owes to each example, None where without it there is no such class, empty for many examples;
        `occlusion`: (height, width) how much of the answer's probability is lost when a part is greyed; `words` and
        `columns`: the same when a word is left out, or a column is not known.
    """
    learner = bundle.learner
    _, examples, _ = bundle.support(support.x, support.labels)
    rows, distances = nearest_support(learner, examples, x, NEAREST)
    near = zip(rows[0].tolist(), distances[0].tolist(), strict=True)
    found: dict[str, Any] = {"nearest": [{"example": ids[i], "distance": _finite(d)} for i, d in near], "influence": []}
    if 2 <= len(ids) <= MOST and not learner.stochastic:
        values = influence(learner, examples, x)[0].tolist()
        found["influence"] = [{"example": i, "value": _finite(v)} for i, v in zip(ids, values, strict=True)]
    state, envelope = bundle.adapt(support.x, support.labels)

    def answer(inputs: Any) -> Tensor:
        answers = bundle.predict(state, envelope, inputs)
        given = answers.values if answers.probabilities is None else answers.probabilities
        assert given is not None
        return given

    return found | _parts(bundle, answer, asked, x)


def _parts(bundle: Bundle, answer: Any, asked: Input, x: Tensor) -> dict[str, Any]:
    """What each part of the question is worth."""
    kind = bundle.kind
    if bundle.modality == "text":

        def say(texts: list[str]) -> Tensor:
            return answer([text if text.strip() else "." for text in texts])  # no encoder need take an empty text

        return {"words": [[word, round(w, 4)] for word, w in words(say, asked.value, most=WORDS, kind=kind)]}
    if isinstance(bundle.encoder, Table):
        return {"columns": [[name, round(w, 4)] for name, w in columns(answer, gathered(bundle, [asked]), kind=kind)]}
    if shown(bundle.feature):
        return {"occlusion": _rounded(occlusion(answer, x[0], kind=kind))}
    if bundle.modality == "image":
        picture = torch.from_numpy(asked.value.copy()).to(torch.float32) / 255
        side = max(1, min(picture.shape[1:]) // PARTS)
        return {"occlusion": _rounded(occlusion(answer, picture, patch=side, stride=side, kind=kind)[::4, ::4])}
    return {}


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(v, 4) for v in row] for row in values.tolist()]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
