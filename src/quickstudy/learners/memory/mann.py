"""Memory-augmented networks (Santoro et al. 2016, arXiv:1605.06065): an LSTM that learns to use an external memory."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...engine.joint import TOGETHER, embed_together
from ...engine.mapping import map_tasks
from ...errors import UserError
from ...functional.batch_norm import call
from ...functional.recurrent.lstm_cell import lstm_cell
from ...functional.recurrent.memory import attend, least_used, write
from ...learner import Learner, Loss, criterion, metric
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task, stack

STRENGTH = 10.0  # of a reading at first; near 1 all slots are read alike, and learning takes far longer to begin


@pytree
class Reading:
    """Where a stream has come to.

    Args:
        memory: (slots, word).
        usage: (slots,) how much each slot was read and written, fading.
        weights: (reads, slots) where each head read last.
        vectors: (reads * word,) what it found there.
        h: (controller,) hidden state of the LSTM.
        c: (controller,) its cell state.
        label: (outputs,) label of the last input, which is shown beside the next; zeros before the first.
    """

    memory: Tensor
    usage: Tensor
    weights: Tensor
    vectors: Tensor
    h: Tensor
    c: Tensor
    label: Tensor


class MANN(Learner):
    """Reads a task as a stream: each input with the label of the one before, which it has to bind together in memory.

    Unlike metric and gradient learners it is not told how to learn: which words to write, and when to believe them, is
    what meta-training finds. A slot is written where it was read last, or where it is least used, as a gate decides;
    every head has its own word, gate and slot, and the slots of least use are emptied first. Gradients flow through
    everything but the ranking of the slots by use.

    In training every example of support and query is asked for before its label is shown, and all count alike (the
    paper's protocol); the metric is that of the queries. In evaluation each query is asked for on its own.

    Args:
        encoder: (n, *feature) -> (n, width).
        width: length of an encoded input.
        outputs: classes a task may have, or length of a target. The head is fixed, so classes cannot be renamed.
        controller: width of the LSTM.
        slots: rows of the memory.
        word: length of a row.
        reads: heads, each of which reads and writes.
        decay: of the usage, a step.
        standardise: shift and scale each encoded input to mean 0 and deviation 1 over its features: images that are
            mostly empty drive the LSTM so weakly that it takes long to learn anything.
        sharpen: learn how strongly each head prefers the most similar slot (Graves et al. 2014, arXiv:1410.5401);
            without it, as in the paper, no slot of 128 can get more than 5.5 % of a reading.

    Raises:
        UserError: fewer slots than heads, or a task of more classes than `outputs`.

    >>> learner = MANN(nn.Flatten(), width=2, outputs=3)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 1]), ways=2))
    >>> learner.predict(state, torch.eye(2)).shape
    torch.Size([2, 3])
    """

    State = Reading
    kinds = ("classification", "regression")
    order_sensitive = True
    joint = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        outputs: int,
        controller: int = 200,
        slots: int = 128,
        word: int = 40,
        reads: int = 4,
        decay: float = 0.99,
        standardise: bool = False,
        sharpen: bool = True,
    ):
        super().__init__()
        if slots < reads:
            raise UserError(f"{reads} heads need a slot each to write to, but there are {slots}; give more slots.")
        self.encoder, self.width, self.outputs, self.controller = encoder, width, outputs, controller
        self.slots, self.word, self.reads, self.decay = slots, word, reads, decay
        self.standardise, self.sharpen = standardise, sharpen
        # The gates of the LSTM get what is known before the stream is read from `inputs`, in one product, and what is
        # not from the other two.
        self.inputs = nn.Linear(width + outputs, 4 * controller)
        self.heads = nn.Linear(controller, reads * (word + 2))  # of each head: its word, gate and strength
        self.w_read = nn.Parameter(torch.empty(4 * controller, reads * word))
        self.w_hidden = nn.Parameter(torch.empty(4 * controller, controller))
        for weights in (self.inputs.weight, self.w_read, self.w_hidden):
            nn.init.xavier_uniform_(weights)
        with torch.no_grad():
            self.inputs.bias.copy_((torch.arange(4 * controller) // controller == 1).float())  # forget little at first
            self.inputs.weight[:, width:] *= width**0.5  # a label weighs as much as all features of unit size together
            self.heads.bias[-reads:] = STRENGTH
        self.head = nn.Linear(controller + reads * word, outputs)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Reading:
        del description, rng
        return self.update(self.start(), support)

    def update(self, state: Reading, examples: Examples) -> Reading:
        if (examples.ways or 0) > self.outputs:
            raise UserError(
                f"MANN answers {self.outputs} classes at most, but the task has {examples.ways}; set outputs to that."
            )
        if examples.mask is not None:
            examples = examples.select(examples.mask)
        return self.read(state, self._encoded(examples.x), examples)[0]

    def predict(self, state: Reading, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q outputs"]:
        inputs = self._inputs(self._encoded(x), state.label.expand(len(x), -1))
        return self.head(torch.func.vmap(lambda one: _told(self._step(state, one)))(inputs))

    def start(self) -> Reading:
        """Before the first input: nothing written, nothing read."""
        shapes = {
            "memory": (self.slots, self.word),
            "usage": (self.slots,),
            "weights": (self.reads, self.slots),
            "vectors": (self.reads * self.word,),
            "h": (self.controller,),
            "c": (self.controller,),
            "label": (self.outputs,),
        }
        return Reading(**{name: self.head.weight.new_zeros(shape) for name, shape in shapes.items()})

    def read(
        self, state: Reading, encoded: Float[Tensor, "n width"], examples: Examples
    ) -> tuple[Reading, Float[Tensor, "n outputs"]]:
        """Go through examples whose inputs are encoded already.

        Returns:
            The state after them, and what was answered to each before its label was shown.
        """
        labels = self._shown(examples)
        before = torch.cat([state.label.unsqueeze(0), labels[:-1]])
        told = []
        for one in self._inputs(encoded, before):
            state = self._step(state, one)
            told.append(_told(state))
        return dataclasses.replace(state, label=labels[-1]), self.head(torch.stack(told))

    def task_loss(self, task: Task, rng: Rng | None = None) -> tuple[Tensor, Tensor]:
        objective, right = self.loss(stack([task]), rng=rng)
        return objective[0], right[0]

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        return Loss(*map_tasks(self._encoded_loss, embed_together(self.encoder, tasks), TOGETHER, rng=rng))

    def _encoded_loss(self, task: Task, rng: Rng | None) -> tuple[Tensor, Tensor]:
        del rng
        stream = task.support.followed_by(task.query)
        answers = self.read(self.start(), stream.x, stream)[1]
        return criterion(answers, stream), metric(answers[len(task.support) :], task.query).detach()

    def _inputs(
        self, encoded: Float[Tensor, "n width"], before: Float[Tensor, "n outputs"]
    ) -> Float[Tensor, "n gates"]:
        """What the gates of the LSTM get from inputs and from the labels before them."""
        if self.standardise:
            encoded = F.layer_norm(encoded, (self.width,))
        return self.inputs(torch.cat([encoded, before], -1))

    def _step(self, state: Reading, inputs: Float[Tensor, " gates"]) -> Reading:
        """One input further, of which `inputs` is what the LSTM's gates get."""
        rows = lstm_cell(state.vectors[None], state.h[None], state.c[None], self.w_read, self.w_hidden, inputs)
        h, c = (row.squeeze(0) for row in rows)
        words, gates, strength = self.heads(h).split([self.reads * self.word, self.reads, self.reads])
        words = words.tanh().unflatten(0, (self.reads, self.word))
        least = least_used(state.usage, self.reads)
        where = torch.lerp(least, state.weights, gates.sigmoid().unsqueeze(-1))
        memory = write(state.memory, words, where, least)
        strength = F.softplus(strength) if self.sharpen else torch.ones_like(strength)
        # Read after writing: a head finds what it has just written, and so where to add the label, which comes next.
        weights = attend(memory, words, strength)
        usage = self.decay * state.usage + (weights + where).detach().sum(0)
        return Reading(memory, usage, weights, (weights @ memory).flatten(), h, c, state.label)

    def _encoded(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n width"]:
        return call(self.encoder, {}, x, policy="running")

    def _shown(self, examples: Examples) -> Float[Tensor, "n outputs"]:
        """Labels as the network is shown them."""
        if examples.ways is None:
            return examples.y
        return F.one_hot(examples.y, self.outputs).to(self.head.weight.dtype)


def _told(state: Reading) -> Float[Tensor, " told"]:
    """What the head answers from."""
    return torch.cat([state.h, state.vectors])
