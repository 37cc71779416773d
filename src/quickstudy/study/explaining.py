"""What single answers rest on, for the report: which examples, and which part of the question."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..encoders.images import Pixels
from ..errors import UserError
from ..evaluation.evaluate import evaluating
from ..learner import Learner
from ..outputs import central
from ..report.shown.inputs import Parts
from ..report.shown.reasons import Reasons
from ..rng import Rng
from ..task import Task, on_device
from ..tasks.groups import inputs_of
from .diagnosis import columns, influence, nearest_support, occlusion, words
from .own import Own

NEAREST = 3
MOST_TAUGHT = 200  # examples that are left out one by one: each takes an adaptation of its own
MOST_PIECES = 60  # of a text, each of which takes an encoding of its own
SIDE, PATCH = 224, 56  # pixels of an image, and of what is greyed of it, where an encoder has to see each anew

T = TypeVar("T")


class Explainer:
    """Finds out what one answer of a learner rests on; what cannot be found out is left out, with the reason.

    Args:
        learner: who answers.
        own: the user's data that its tasks were made of, if they were; the parts of a question are those of what the
            user brought.
    """

    def __init__(self, learner: Learner, own: Own | None = None):
        self.learner, self.own = learner, own

    def __call__(self, task: Task, query: int) -> Reasons:
        """Why one question of a task is answered as it is.

        Args:
            task: one, without padding.
            query: the number of the question.
        """
        unknown: list[str] = []

        def tried(find: Callable[[], T]) -> T | None:
            try:
                return find()
            except (RuntimeError, ValueError, IndexError) as error:  # whatever a learner meets with fewer examples
                unknown.append(str(error).partition("\n")[0])
                return None

        rng = Rng(0) if self.learner.stochastic else None
        with evaluating(self.learner):
            here = on_device(task, self.learner.device)
            state = self.learner.adapt(here.support, here.description, rng=rng)
            given = self._answers(task, state, here.query.x)[query]
            answer = float(given.max() if task.ways is not None else given[0])
            if not math.isfinite(answer):
                return Reasons(answer, unknown=("The answer is no number.",))
            asked = here.query.x[query : query + 1]
            near = tried(lambda: nearest_support(self.learner, here.support, asked, k=NEAREST)[0][0].tolist())
            without = tried(lambda: self._without(task, query, answer, rng))
            parts = tried(lambda: self._parts(task, query, state))
        return Reasons(answer, tuple(near or ()), without, parts, tuple(unknown))

    def _answers(self, task: Task, state: Any, x: Tensor) -> Tensor:
        """(q, ways) probabilities, or (q, d) values."""
        output = central(self.learner.predict(state, x.to(self.learner.device))).cpu()
        return output if task.ways is None else output[:, : task.ways].softmax(-1)

    def _without(self, task: Task, query: int, answer: float, rng: Rng | None) -> Tensor:
        """(n,) what the answer would be without each example."""
        n = len(task.support)
        if n > MOST_TAUGHT:
            raise UserError(f"{n:,} examples are too many to learn again without each of them.")
        if task.ways is None and task.query.y.shape[1] > 1:
            raise UserError("What an example does is shown for answers of one number.")
        # A transductive learner's answers depend on what else is asked.
        asked = range(len(task.query)) if self.learner.transductive else range(query, query + 1)
        x = task.query.x[asked.start : asked.stop]
        each = influence(self.learner, task.support, x, task.description, rng=rng)[query - asked.start]
        return answer - each if task.ways is None else answer * (-each).exp()

    def _parts(self, task: Task, query: int, state: Any) -> Parts:
        """What is lost of the answer without each word or column, or each part of an image."""
        if self.learner.transductive:
            raise UserError("Which part of the question counted is not known: answers depend on what else is asked.")
        x, own = task.query.x[query], self.own
        if x.dim() == 3 and (own is None or own.rows.modality == "image"):
            return occlusion(lambda images: self._answers(task, state, images), x, kind=task.kind)
        modality = None if own is None or task.origin is None else own.rows.modality
        if modality not in ("image", "text", "features"):
            raise UserError("Which part of the question counted is shown of images, texts and tables alone.")
        assert own is not None and task.origin is not None
        encoder, row = own.encoder, int(task.origin.query[query])

        def answer(raw: Any) -> Tensor:
            made = encoder(raw)
            return self._answers(task, state, inputs_of(made, torch.arange(len(made))))

        if modality == "text":
            text = own.rows.inputs[row]
            if len(text.split()) < 2:
                raise UserError("The question is one word, without which nothing would be left to ask.")
            return words(answer, text, most=MOST_PIECES, kind=task.kind)
        if modality == "features":
            return columns(answer, own.rows.inputs[row : row + 1], kind=task.kind)
        image = Pixels(SIDE)([own.rows.inputs[row]])[0].to(torch.float32) / 255
        return occlusion(lambda images: answer([*images.numpy()]), image, patch=PATCH, kind=task.kind)
