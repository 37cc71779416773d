"""What JAX reaches with hand-written code: no library, but a mark beside them.

Tasks are vectorised and everything is compiled, the outer step included. A convolution is a product of unfolded images
with the weights, since XLA's own convolutions with weights of their own for each task are slow on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from .work import EPSILON, Work, tasks, weights

Weights = list[Array]


def unfolded(x: Array, stride: int) -> Array:
    """(n, h, w, c) -> (n, h', w', 9c): the neighbours of each pixel side by side."""
    n, height, width, c = x.shape
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    down, right = ((side - 1) // stride * stride + 1 for side in (height, width))
    parts = [
        lax.slice(x, (0, i, j, 0), (n, i + down, j + right, c), (1, stride, stride, 1))
        for i in range(3)
        for j in range(3)
    ]
    return jnp.concatenate(parts, -1)


def halved(x: Array) -> Array:
    """2x2 max pooling. Not by jnp.max: at second order its gradient gets lost where XLA fuses it."""

    def larger(a: Array, b: Array) -> Array:
        return jnp.where(a >= b, a, b)

    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    return larger(larger(x[:, ::2, ::2], x[:, ::2, 1::2]), larger(x[:, 1::2, ::2], x[:, 1::2, 1::2]))


def embed(weights: Weights, x: Array, pool: bool, running: bool = False) -> Array:
    """The features of Conv-4; batch norm takes the statistics of the batch, or the running ones of a new net."""
    for i in range(4):
        kernel, bias, scale, shift = weights[4 * i : 4 * i + 4]
        x = unfolded(x, 1 if pool else 2) @ kernel.reshape(-1, kernel.shape[-1]) + bias
        x = x if running else x - x.mean((0, 1, 2))
        variance = 1.0 if running else (x * x).mean((0, 1, 2))
        x = jax.nn.relu(x * (lax.rsqrt(variance + EPSILON) * scale) + shift)
        x = halved(x) if pool else x
    # Features in the order of torch: by channel first.
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1) if pool else x.mean((1, 2))


def dense(weights: Weights, x: Array) -> Array:
    """A perceptron; with one layer, a linear head."""
    for i in range(0, len(weights), 2):
        x = (x if i == 0 else jax.nn.relu(x)) @ weights[i].T + weights[i + 1]
    return x


def error(output: Array, y: Array) -> Array:
    if jnp.issubdtype(y.dtype, jnp.floating):
        return jnp.square(output - y).mean()
    return -jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], 1).mean()


def adapting(work: Work) -> Callable[..., Array]:
    """(weights, one task) -> its objective."""

    def net(w: Weights, x: Array) -> Array:
        return dense(w, x) if work.net == "mlp" else dense(w[-2:], embed(w, x, False))

    def task(first: Weights, x: Array, y: Array, queries: Array, asked: Array) -> Array:
        moves, answer = first, net
        if work.kind == "anil":
            x, queries, moves, answer = embed(first, x, False), embed(first, queries, False), first[-2:], dense
        for _ in range(work.steps):
            way = jax.grad(lambda w: error(answer(w, x), y))(moves)
            way = lax.stop_gradient(way) if work.kind in ("fomaml", "reptile") else way
            moves = [w - work.lr * g for w, g in zip(moves, way, strict=True)]
        if work.kind == "reptile":  # half the squared way, whose gradient is the way back
            return sum(jnp.square(w - lax.stop_gradient(m)).sum() for w, m in zip(first, moves, strict=True)) / 2
        return error(answer(moves, queries), asked)

    return task


def comparing(work: Work) -> Callable[..., Array]:
    """(weights, one task) -> its objective from prototypes, or the share of right answers where they are judged."""

    def task(w: Weights, x: Array, y: Array, queries: Array, asked: Array) -> Array:
        z = embed(w, jnp.concatenate([x, queries]), True, running=work.kind == "judge")
        means = z[: len(x)].reshape(work.ways, work.shots, -1).mean(1)
        z = z[len(x) :]
        scores = 2 * z @ means.T - jnp.square(means).sum(1) - jnp.square(z).sum(1, keepdims=True)
        return (scores.argmax(1) == asked).mean() if work.kind == "judge" else error(scores, asked)

    return task


class Compiled:
    def __init__(self, work: Work, dtype: str):
        jax.config.update("jax_enable_x64", dtype == "float64")
        images = work.net != "mlp"
        self.weights = [jnp.asarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w) for w in weights(work, dtype)]
        sides = [side.transpose(0, 1, 3, 4, 2) if images and side.ndim == 5 else side for side in tasks(work, dtype)]
        self.work, self.sides = work, [jnp.asarray(side) for side in sides]
        task, adam = (comparing if work.learner == "prototypical" else adapting)(work), optax.adam(1e-3)
        self.judge = jax.jit(task)
        self.memory = adam.init(self.weights)

        def mean(w: Weights, *sides: Array) -> Array:
            return jax.vmap(task, (None, 0, 0, 0, 0))(w, *sides).mean()

        def step(w: Weights, memory: Any, *sides: Array) -> tuple[Weights, Any, Array]:
            loss, way = jax.value_and_grad(mean)(w, *sides)
            change, memory = adam.update(way, memory)
            return optax.apply_updates(w, change), memory, loss

        self.way, self.advance = jax.jit(jax.grad(mean)), jax.jit(step)

    def step(self) -> float:
        if self.work.kind == "judge":
            # One after another: all at once would take many GB.
            return float(np.mean([self.judge(self.weights, *task) for task in zip(*self.sides, strict=True)]))
        self.weights, self.memory, loss = self.advance(self.weights, self.memory, *self.sides)
        return float(loss)

    def gradient(self) -> list[np.ndarray]:
        if self.work.kind == "judge":
            return [np.array([self.step()])]
        found = self.way(self.weights, *self.sides)
        return [np.asarray(g.transpose(3, 2, 0, 1) if g.ndim == 4 else g) for g in found]


def build(work: Work, dtype: str) -> Compiled:
    return Compiled(work, dtype)
