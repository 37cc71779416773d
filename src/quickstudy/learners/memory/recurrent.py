"""A recurrent network that learns to learn (Hochreiter et al. 2001): it reads the support set and then a question."""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...engine.joint import TOGETHER, embed_together
from ...engine.mapping import map_tasks
from ...errors import UnknownName
from ...functional.batch_norm import call
from ...learner import Learner, Loss, criterion, metric
from ...nets.mlp import MLP
from ...pytree import tree_map
from ...rng import Rng
from ...task import Examples, Task
from .cells import Cell, Memory

TOKENS = ("apart", "together")


class Recurrent(Learner):
    """Reads its examples one after another; all that it has learned of a task is the memory of its cell.

    Unlike networks that look back at the support set, its state has one size however much was read, and going on with
    more examples is reading on. Labels, and the blank in place of an unknown one, are embedded by learned vectors.

    Args:
        cell: what remembers; `cell.inputs` is the length of a token.
        inputs: length of an input, once encoded and flattened.
        outputs: classes, or the length of a target.
        hidden: units of the rectified layer through which the answer is read; 100 in Ba et al. 2016.
        tokens: 'together' makes an example one token, the sum of both embeddings, and a question the input beside the
            blank. 'apart' makes it two, the input and then its label, and a question two blanks and the input, as in
            c9k8??c: then the cell has to learn to bind what follows each other.
        encoder: (n, *feature) -> (n, inputs), of about unit length; in training it embeds all tasks of a batch at once.
            None takes the inputs as they are.

    Raises:
        UnknownName: no such way to make tokens.

    >>> from quickstudy.learners.memory.cells import LSTMCell
    >>> learner = Recurrent(LSTMCell(inputs=8, width=4), inputs=2, outputs=3)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 2]), ways=3))
    >>> learner.predict(state, torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    State = Memory
    kinds = ("classification", "regression")
    order_sensitive = True

    def __init__(
        self,
        cell: Cell,
        *,
        inputs: int,
        outputs: int,
        hidden: int = 100,
        tokens: str = "together",
        encoder: nn.Module | None = None,
    ):
        super().__init__()
        if tokens not in TOKENS:
            raise UnknownName.among("way to make tokens", tokens, TOKENS)
        self.cell, self.inputs, self.outputs, self.hidden = cell, inputs, outputs, hidden
        self.tokens, self.encoder = tokens, encoder
        self.joint = encoder is not None
        self.embed = nn.Linear(inputs, cell.inputs, bias=False)
        # As symbols are embedded: of tokens a tenth that size, fast weights learned nothing but the commonest digit.
        nn.init.normal_(self.embed.weight)
        self.labels = nn.Parameter(torch.randn(outputs, cell.inputs))
        self.blank = nn.Parameter(torch.randn(cell.inputs))
        self.readout = MLP(cell.width, outputs, hidden=(hidden,))

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Memory:
        del description, rng
        return self.update(self.cell.start(), support)

    def update(self, state: Memory, examples: Examples) -> Memory:
        return self.read(state, dataclasses.replace(examples, x=self._encoded(examples.x)))

    def predict(self, state: Memory, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q outputs"]:
        return self.answer(state, self._encoded(x))

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        if self.encoder is None:
            return super().loss(tasks, rng=rng)
        return Loss(*map_tasks(self._encoded_loss, embed_together(self.encoder, tasks), TOGETHER, rng=rng))

    def _encoded_loss(self, task: Task, rng: Rng | None) -> tuple[Tensor, Tensor]:
        del rng
        output = self.answer(self.read(self.cell.start(), task.support), task.query.x)
        return criterion(output, task.query), metric(output, task.query).detach()

    def _encoded(self, x: Tensor) -> Tensor:
        return x if self.encoder is None else call(self.encoder, {}, x, policy="running")

    def read(self, state: Memory, encoded: Examples) -> Memory:
        """The memory after reading examples whose inputs are encoded already."""
        x = self.embed(encoded.x.flatten(1))
        y = encoded.y @ self.labels if encoded.ways is None else self.labels[encoded.y]
        tokens = torch.stack([x, y], 1).flatten(0, 1) if self.tokens == "apart" else x + y
        for token in tokens.split(1):
            state = self.cell(state, token)
        return state

    def answer(self, state: Memory, encoded: Float[Tensor, "q ..."]) -> Float[Tensor, "q outputs"]:
        """Answers to questions that are encoded already."""
        question = self.embed(encoded.flatten(1))
        if self.tokens == "apart":
            for _ in range(2):
                state = self.cell(state, self.blank.unsqueeze(0))
        else:
            question = question + self.blank
        # Each question is read by a copy of the memory, so no answer depends on another question.
        copies = tree_map(lambda leaf: leaf.expand(len(question), *leaf.shape[1:]), state)
        return self.readout(self.cell(copies, question).hidden)
