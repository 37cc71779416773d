"""What an answer rests on: which support examples, which part of an image, which words, which columns."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...engine.mapping import map_tasks
from ...engine.plan import choose
from ...errors import BadExamples, UserError
from ...evaluation.evaluate import evaluating
from ...learner import Learner
from ...outputs import central
from ...rng import Rng
from ...task import Examples, Task, on_device
from ...tasks.own.rows import Columns

NUMBERS_AT_ONCE = 2**24  # input numbers of the tasks, or occluded images, that are in memory together
TEXTS_AT_ONCE = 256

# Inputs -> (n, ways) probabilities, or (n, d) values of a regression; no answer depends on the other inputs.
Answer = Callable[[Any], Tensor]


def influence(
    learner: Learner,
    support: Examples,
    query_x: Tensor,
    description: Tensor | None = None,
    *,
    answers: Tensor | None = None,
    rng: Rng | None = None,
) -> Tensor:
    """What each support example does for each answer: the answer with all examples less the one without it, (q, n).

    It is exact: the learner adapts again without each example. For a classification it is of the log-probability of the
    class that is answered with all examples, in nats: above 0 the example speaks for the answer, below 0 against it,
    and it is infinite where the only example of the class is left out of a learner that then rules the class out. For a
    regression it is of the prediction, in units of the target; of several targets, the length of their change. Queries
    of a transductive learner are asked together.

    Args:
        support: of one task, of at least two examples, or of one if the learner is zero-shot; padding has 0.
        query_x: (q, *feature).
        description: of the task.
        answers: (q,) classes to ask about in place of those that are answered, the right ones for instance.
        rng: for learners that are stochastic: every adaptation gets the same key.

    Raises:
        BadExamples: nothing would be left to learn from.

    >>> from quickstudy.learners.metric.prototypical import Prototypical
    >>> support = Examples(torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([0, 1, 1]), ways=2)
    >>> influence(Prototypical(torch.nn.Identity()), support, torch.tensor([[1.0]]))
    tensor([[   inf, 0.0000, 0.6931]])
    """
    rows = torch.arange(len(support)) if support.mask is None else support.mask.cpu().nonzero().flatten()
    if len(rows) < (1 if learner.zero_shot else 2):
        raise BadExamples(f"The support set has {len(rows)} examples; leaving one out needs another to learn from.")
    key = rng or (Rng(0) if learner.stochastic else None)

    def ask(task: Task, _: Rng | None = None) -> Tensor:
        output = central(learner.predict(learner.adapt(task.support, task.description, rng=key), task.query.x))
        return output if support.ways is None else output[:, : support.ways].log_softmax(-1)

    real = dataclasses.replace(support.select(rows), mask=None)
    query = Examples(query_x, query_x.new_zeros(len(query_x), dtype=torch.int64), ways=support.ways)
    others = torch.stack([torch.cat([rows[:i], rows[i + 1 :]]) for i in range(len(rows))])
    with evaluating(learner):
        whole = ask(on_device(Task(real, query, description), learner.device)).cpu()
        parts = []
        for few in others.split(max(1, NUMBERS_AT_ONCE // max(1, real.x.numel() + query_x.numel()))):
            sides = (Examples(support.x[few], support.y[few], ways=support.ways), _repeated(query, len(few)))
            known = None if description is None else description.expand(len(few), *description.shape)
            tasks = on_device(Task(*sides, known), learner.device)
            parts.append(map_tasks(ask, tasks, choose(learner, tasks)).cpu())
    without = torch.cat(parts)
    if support.ways is None:
        change = whole - without
        each = change.squeeze(-1) if change.shape[-1] == 1 else change.norm(dim=-1)
    else:
        asked = whole.argmax(-1) if answers is None else answers
        before, after = (t.gather(-1, asked.expand(t.shape[:-1]).unsqueeze(-1)).squeeze(-1) for t in (whole, without))
        each = torch.where(before == after, 0.0, before - after)  # ruled out before and after: no change
    found = each.new_zeros(len(query_x), len(support))
    found[:, rows] = each.T
    return found


def _repeated(query: Examples, count: int) -> Examples:
    x, y = (t.expand(count, *t.shape) for t in (query.x, query.y))
    return Examples(x, y, ways=query.ways)


def occlusion(
    answer: Answer, image: Tensor, *, patch: int | None = None, stride: int | None = None, kind: str = "classification"
) -> Tensor:
    """How much of an answer is lost when a part of an image is greyed, (height, width).

    A pixel has the mean loss (see `lost`) over all patches that cover it (Zeiler and Fergus 2014, arXiv:1311.2901);
    grey is the mean of each channel.

    Args:
        answer: to (n, channels, height, width) images.
        image: (channels, height, width).
        patch: side of the square that is greyed; a fifth of the shorter side when None.
        stride: from one patch to the next; half a patch when None. The last ones touch the border.
        kind: 'classification' or 'regression'.

    Raises:
        UserError: what is no image, or a patch that does not fit into it.

    >>> def answer(images):
    ...     corner = images[:, 0, 0, 0]
    ...     return torch.stack([corner, 1 - corner], 1)
    >>> occlusion(answer, torch.eye(2).view(1, 2, 2), patch=1)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    if image.dim() != 3:
        raise UserError(f"An image is (channels, height, width), not {tuple(image.shape)}.")
    height, width = image.shape[1:]
    side = patch or max(1, min(height, width) // 5)
    step = stride or max(1, side // 2)
    if not 1 <= side <= min(height, width) or step < 1:
        raise UserError(f"A patch of {side} pixels, moved by {step}, does not fit an image of {height} x {width}.")
    corners = [(top, left) for top in _places(height, side, step) for left in _places(width, side, step)]
    covers = torch.zeros(len(corners), 1, height, width, dtype=torch.bool)
    for cover, (top, left) in zip(covers, corners, strict=True):
        cover[:, top : top + side, left : left + side] = True
    grey = image.mean((1, 2), keepdim=True)
    some = covers.split(max(1, NUMBERS_AT_ONCE // image.numel()))
    given = torch.cat([answer(image.unsqueeze(0)), *(answer(torch.where(cover, grey, image)) for cover in some)])
    weight = covers[:, 0].to(given.dtype)
    return (lost(given, kind).view(-1, 1, 1) * weight).sum(0) / weight.sum(0)


def _places(length: int, side: int, step: int) -> list[int]:
    return sorted({*range(0, length - side + 1, step), length - side})


def words(
    answer: Answer, text: str, *, most: int | None = None, kind: str = "classification"
) -> list[tuple[str, float]]:
    """How much of an answer is lost (see `lost`) when one word is left out, for each word in turn.

    Words are what white space separates, punctuation with them; a word that comes twice is there twice, and what is
    left of the text stays as it was. So a text is asked as often as it has words.

    Args:
        answer: to texts.
        text: whose answer is explained.
        most: of a text with more words several that follow each other are left out together.
        kind: 'classification' or 'regression'.

    Raises:
        UserError: `answer` does not give a row for each text.

    >>> def answer(texts):
    ...     good = torch.tensor([0.9 if "good" in text else 0.5 for text in texts])
    ...     return torch.stack([1 - good, good], 1)
    >>> [(word, round(weight, 2)) for word, weight in words(answer, "a good film")]
    [('a', 0.0), ('good', 0.4), ('film', 0.0)]
    """
    found = list(re.finditer(r"\S+\s*", text))
    each = 1 if most is None else max(1, math.ceil(len(found) / most))
    spans = [(some[0].start(), some[-1].end()) for some in (found[i : i + each] for i in range(0, len(found), each))]
    texts = [text, *(text[:start] + text[end:] for start, end in spans)]
    parts = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = texts[start : start + TEXTS_AT_ONCE]
        parts.append(answer(some))
        if parts[-1].dim() != 2 or len(parts[-1]) != len(some):
            raise UserError(f"For {len(some)} texts `answer` gave {tuple(parts[-1].shape)}; give (n, ways) or (n, d).")
    weights = lost(torch.cat(parts), kind).tolist()
    return [(text[start:end].strip(), weight) for (start, end), weight in zip(spans, weights, strict=True)]


def columns(answer: Answer, row: Columns, *, kind: str = "classification") -> list[tuple[str, float]]:
    """How much of an answer is lost (see `lost`) when the value of one column counts as missing, for each in turn.

    Args:
        answer: to `Columns`.
        row: one row, whose answer is explained.
        kind: 'classification' or 'regression'.

    >>> def answer(rows):
    ...     old = torch.tensor([0.8 if age > 40 else 0.5 for age in rows.numeric[:, 0]])
    ...     return torch.stack([1 - old, old], 1)
    >>> row = Columns(np.array([[50.0, 1.0]]), ("age", "size"), np.zeros((1, 0), np.int32), (), ())
    >>> [(name, round(weight, 2)) for name, weight in columns(answer, row)]
    [('age', 0.3), ('size', 0.0)]
    """
    a, b = len(row.numeric_names), len(row.categorical_names)
    every = row[np.zeros(1 + a + b, dtype=np.int64)]  # a copy: the row, then one for each column without it
    every.numeric[1 + np.arange(a), np.arange(a)] = np.nan
    every.categorical[1 + a + np.arange(b), np.arange(b)] = -1
    return list(zip(row.names, lost(answer(every), kind).tolist(), strict=True))


def lost(given: Tensor, kind: str) -> Tensor:
    """(n,) of (1 + n, ...) answers what each loses of the first one.

    For a classification the fall of the probability of the class that is answered first, below 0 where it rises; for a
    regression how far the values move.
    """
    if kind == "regression":
        return (given[1:] - given[0]).norm(dim=-1)
    return (given[0] - given[1:])[:, int(given[0].argmax())]
