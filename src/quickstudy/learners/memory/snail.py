"""SNAIL (Mishra et al. 2018, arXiv:1707.03141): a task is a sequence, read by causal convolutions and attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...engine.joint import TOGETHER, embed_together
from ...engine.mapping import map_tasks
from ...errors import UserError
from ...functional.batch_norm import call
from ...learner import Learner, Loss, criterion, metric
from ...nets.temporal import Past, Temporal
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task


@pytree
class Read:
    """What the examples so far have left for later positions to look at.

    Args:
        pasts: for each block of the net, the inputs that its convolution can still see, or its keys and values.
    """

    pasts: tuple[Past, ...]


class SNAIL(Learner):
    """Reads the examples with their labels one after another, then a query without one, and answers at its position.

    Unlike recurrent learners it squeezes nothing through a state of one size: convolutions gather from the last
    `length` positions and attention picks from all, so its state grows with the support set. Every query continues the
    sequence on its own from what the support set left, so one costs a single step, and no query sees another.

    In training the examples of all tasks of a meta-batch are embedded together; in evaluation batch norm uses running
    statistics, so it is inductive. The paper's objective is that of one query a sequence; here a sequence is continued
    by each query of the task in turn, and their losses are averaged.

    Args:
        encoder: (n, *feature) -> (n, width). On Omniglot the paper has four blocks of 64 filters and a linear layer
            to 64: Conv4(outputs=64).
        width: length of an embedding.
        outputs: classes a task may have, or length of a target. Labels are fixed columns, so classes cannot be renamed.
        length: of the longest sequence, ways * shots + 1: it sets how many convolutions there are. Longer ones are
            read too, but then attention alone looks at their beginning.
        attention: (keys, values) of each attention block; between two of them there are convolutions.
        filters: of each convolution.

    Raises:
        UserError: more classes than `outputs`, or a `length` below 2.

    >>> learner = SNAIL(nn.Flatten(), width=2, outputs=3, length=4)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 2]), ways=3))
    >>> learner.predict(state, torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    State = Read
    kinds = ("classification", "regression")
    order_sensitive = True
    joint = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        outputs: int,
        length: int,
        attention: tuple[tuple[int, int], ...] = ((64, 32), (256, 128), (512, 256)),
        filters: int = 128,
    ):
        super().__init__()
        self.encoder, self.width, self.outputs = encoder, width, outputs
        self.length, self.attention, self.filters = length, attention, filters
        self.body = Temporal(width + outputs, length=length, attention=attention, filters=filters)
        self.head = nn.Linear(self.body.features, outputs)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Read:
        del description, rng
        return self.update(Read(self.body.start()), support)

    def update(self, state: Read, examples: Examples) -> Read:
        if examples.ways is not None and examples.ways > self.outputs:
            raise UserError(
                f"The task has {examples.ways} classes, but the head {self.outputs}; give outputs={examples.ways}."
            )
        return self.read(state, call(self.encoder, {}, examples.x, policy="running"), examples)

    def read(self, state: Read, embedded: Float[Tensor, "n width"], examples: Examples) -> Read:
        """The state after examples that are embedded already."""
        labels = examples.y if examples.ways is None else F.one_hot(examples.y, self.outputs).to(embedded.dtype)
        _, left = self.body(torch.cat([embedded, labels], -1), state.pasts)
        return Read(self.body.after(state.pasts, left))

    def predict(self, state: Read, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q outputs"]:
        return self.answer(state, call(self.encoder, {}, x, policy="running"))

    def answer(self, state: Read, embedded: Float[Tensor, "q width"]) -> Float[Tensor, "q outputs"]:
        """The answers to queries that are embedded already: sequences of one position each, without a label."""
        unlabelled = torch.cat([embedded, embedded.new_zeros(len(embedded), self.outputs)], -1)
        answers, _ = self.body(unlabelled.unsqueeze(1), state.pasts)
        return self.head(answers.squeeze(1))

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        return Loss(*map_tasks(self._embedded_loss, embed_together(self.encoder, tasks), TOGETHER, rng=rng))

    def _embedded_loss(self, task: Task, rng: Rng | None) -> tuple[Tensor, Tensor]:
        del rng
        output = self.answer(self.read(Read(self.body.start()), task.support.x, task.support), task.query.x)
        return criterion(output, task.query), metric(output, task.query).detach()
