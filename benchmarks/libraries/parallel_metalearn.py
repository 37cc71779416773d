"""parallel-metalearn: algorithms.MAML, Reptile and PrototypicalNetwork, vectorised by its vmap backend.

Its own batch norm stands in the net (torch's has a wrong second-order gradient under vmap), and takes the statistics of
the batch in evaluation as well; rates of the inner loop are fixed. Prototypical: as torchmeta, it embeds support and
queries one after the other.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from metalearn.algorithms.MAML import MAML
from metalearn.algorithms.PrototypicalNet import PrototypicalNetwork
from metalearn.algorithms.Reptile import Reptile
from metalearn.inner_optimizers import InnerSGD
from metalearn.loss import CategoricalAccuracy, CrossEntropy
from metalearn.loss.base import BaseLoss
from metalearn.model_wrappers import MAML_Model
from metalearn.model_wrappers.PrototypicalWrapper import ProtoNet_Model
from metalearn.nn_models.basic_layers.BatchNormalization import BatchNorm
from torch import Tensor, nn

from .torch_job import Job
from .work import WIDTH, Work

CHUNK = 4  # tasks at a time where a task has many images: all at once would take several GB


class Body(nn.Module):
    def __init__(self, pool: bool):
        super().__init__()
        self.pool = pool
        for i, channels in enumerate((1, WIDTH, WIDTH, WIDTH)):
            self.add_module(f"conv{i}", nn.Conv2d(channels, WIDTH, 3, 1 if pool else 2, 1))
            self.add_module(f"norm{i}", BatchNorm(WIDTH, track_running_stats=False))

    def forward(self, x: Tensor, **known: Any) -> Tensor:
        for i in range(4):
            x = F.relu(getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x), **known))
            x = F.max_pool2d(x, 2) if self.pool else x
        return x.flatten(1) if self.pool else x.mean((2, 3))


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear0, self.linear1 = nn.Linear(1, 40), nn.Linear(40, 40)

    def forward(self, x: Tensor, **known: Any) -> Tensor:
        return F.relu(self.linear1(F.relu(self.linear0(x))))


class Head(nn.Linear):
    def forward(self, x: Tensor, **known: Any) -> Tensor:
        return super().forward(x)


class SquaredError(BaseLoss):
    def forward(self, out_dict: dict, targets: dict, model_states: Any = None, **known: Any) -> tuple[Tensor, Tensor]:
        loss = F.mse_loss(out_dict["logits"], targets["labels"])
        return loss, loss.detach()


class Whole(Job):
    """The library owns the outer step, so its own is the one that is timed."""

    def __init__(self, work: Work, dtype: str):
        compares, sine = work.learner == "prototypical", work.net == "mlp"
        if compares:
            model = ProtoNet_Model(backbone=Body(pool=True), max_classes=work.ways, latent_dim=WIDTH)
        else:
            body, head = (Hidden(), Head(40, 1)) if sine else (Body(pool=False), Head(WIDTH, work.ways))
            model = MAML_Model(backbone=body, head=head, fast_weights_names="ANIL" if work.kind == "anil" else None)
        layers = [f"{kind}{i}" for kind in ("conv", "norm", "linear") for i in range(4)]
        super().__init__(work, dtype, model, {n: f"backbone.{n}" for n in layers} | {"linear2": "head"})
        x, y, queries, asked = self.sides
        self.batches = itertools.repeat((x, {"labels": y}, queries, {"labels": asked}))
        loss = SquaredError() if sine else CrossEntropy(metric_fn=CategoricalAccuracy())
        how = {"model": model, "optimizer": self.optimizer, "backend": "vmap", "device": torch.device("cpu")}
        if compares:
            self.algorithm = PrototypicalNetwork(loss_fn=loss, **how)
            return
        descent = InnerSGD(
            model.get_fast_weights(),
            first_order=work.kind in ("fomaml", "reptile"),
            inner_lr=work.lr,
            learn_lr=False,
        )
        self.algorithm = (Reptile if work.kind == "reptile" else MAML)(
            inner_optimizer=descent,
            support_loss_fn=loss,
            inner_steps=work.steps,
            chunk_size=CHUNK if work.ways > 5 else work.tasks,
            **how,
        )

    def step(self) -> float:
        return float(self.algorithm.step(self.batches, training=self.work.kind != "judge")[0])

    def gradient(self) -> list[np.ndarray]:
        if self.work.kind == "judge":
            raise NotImplementedError("it takes other statistics in evaluation")
        self.optimizer.step = lambda *given, **more: None
        self.step()
        return [p.grad.numpy() for p in self.parameters]


def build(work: Work, dtype: str) -> Whole:
    return Whole(work, dtype)
