"""MiniLM as an encoder of reviews: frozen, or with its upper layers fine-tuned on training tasks (arXiv:2002.10957).

Unlike the library's encoder `Sentences` it works in bfloat16, a third of the time on processors that can, and gives
more than one vector: the mean over the tokens after each of some layers, and the largest of each number after the last.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from quickstudy.encoders.trained.by_name import Sentences
from quickstudy.rng import Rng
from quickstudy.storage import write_atomically
from quickstudy.tasks.datasets.text.pools import Encode

WIDTH, DEPTH = 384, 6
BATCH = 32
READ = 256  # tokens of a text; the model was trained with no more


class TokenFeatures:
    """Means over tokens after some layers, and perhaps the maximum after the last, side by side.

    Args:
        layers: counted from 1; 6 is the last, whose mean, scaled to length 1, is the sentence embedding.
        weights: a file that `fine_tune` left; None for the published ones.
        largest: whether the maximum is there too.
    """

    modality = "text"

    def __init__(self, layers: tuple[int, ...] = (6,), weights: Path | None = None, *, largest: bool = True):
        self.layers, self.weights, self.largest = layers, weights, largest

    @functools.cached_property
    def identity(self) -> str:
        tuned = "" if self.weights is None else hashlib.sha256(self.weights.read_bytes()).hexdigest()
        pooled = "" if self.largest else " means"
        return f"minilm-tokens 1 bfloat16 layers={self.layers} {Sentences().identity} {tuned}{pooled}"

    @property
    def feature(self) -> tuple[int, ...]:
        return (WIDTH * (len(self.layers) + self.largest),)

    @torch.inference_mode()
    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """(n, features) float32."""
        tokens = tokenized(inputs, READ)
        order = np.argsort([len(row) for row in tokens], kind="stable")
        made = torch.empty(len(inputs), *self.feature)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            ids, real = padded([tokens[i] for i in rows])
            states = self._network(ids, attention_mask=real, output_hidden_states=True).hidden_states
            pooled = [mean(states[layer], real) for layer in self.layers]
            if self.largest:
                pooled.append(states[-1].masked_fill(real.unsqueeze(-1) == 0, -torch.inf).amax(1))
            made[torch.from_numpy(rows)] = torch.cat(pooled, -1).float()
        return made

    @functools.cached_property
    def _network(self) -> nn.Module:
        net = network()
        if self.weights is not None:
            net.load_state_dict(load_file(self.weights), strict=False)
        return net.to(torch.bfloat16)


def remembered(encode: Encode) -> Encode:
    """The same, asked only for texts that are new to it."""
    known: dict[str, Tensor] = {}

    def once(texts: list[str]) -> Tensor:
        if new := [text for text in dict.fromkeys(texts) if text not in known]:
            known.update(zip(new, encode(new), strict=True))
        return torch.stack([known[text] for text in texts])

    return once


def stand_in(texts: list[str]) -> Tensor:
    """What smoke runs take for embeddings: random directions, so that no encoder is needed."""
    return F.normalize(torch.randn(len(texts), WIDTH, generator=Rng(0).generator()), dim=-1)


def fine_tune(
    texts: Sequence[str],
    y: Tensor,
    task: Tensor,
    path: Path,
    *,
    frozen: int = 3,
    read: int = 128,
    lr: float = 1e-4,
    head_lr: float = 1e-3,
    epochs: int = 1,
    seed: int = 0,
) -> Iterator[tuple[int, int, float]]:
    """Fine-tune the upper layers on many tasks at once, each with its own linear classifier beside a shared one.

    The classifiers are thrown away; the layers are written to `path`.

    Args:
        texts: n of them.
        y: (n,) 0 or 1.
        task: (n,) number of each text's task.
        path: safetensors.
        frozen: layers that stay as they are, from below, and the embeddings with them.
        read: tokens of a text.
        lr: of the layers at its height, after a tenth of the steps; it falls to zero in a straight line.
        head_lr: of the classifiers, likewise.
        epochs: passes over the texts.
        seed: of their order.

    Yields:
        Step, number of steps, and the loss of that step.
    """
    net = network()
    moved = [p for n, p in net.named_parameters() if _above(n, frozen)]
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for parameter in moved:
        parameter.requires_grad_(True)
    heads = nn.Parameter(torch.zeros(int(task.max()) + 2, WIDTH + 1))  # the last one is shared
    optimizer = torch.optim.AdamW([{"params": moved, "lr": lr}, {"params": [heads], "lr": head_lr}], weight_decay=0.01)
    tokens = tokenized(texts, read)
    batches = [batch for epoch in range(epochs) for batch in _batches(tokens, Rng(seed, ("fine-tune", epoch)))]
    warm = max(1, len(batches) // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (len(batches) - step) / (len(batches) - warm))
    )
    for step, rows in enumerate(batches, 1):
        ids, real = padded([tokens[i] for i in rows])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = mean(net(ids, attention_mask=real).last_hidden_state, real).float()
        weight = heads[task[rows]] + heads[-1]
        logits = (z * weight[:, :-1]).sum(-1) + weight[:, -1]
        loss = F.binary_cross_entropy_with_logits(logits, y[rows].float())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*moved, heads], 1.0)
        optimizer.step()
        schedule.step()
        yield step, len(batches), loss.item()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({n: p.detach().contiguous() for n, p in net.named_parameters() if _above(n, frozen)}, part)
    write_atomically(path, part.read_bytes())
    part.unlink()


def _above(name: str, frozen: int) -> bool:
    """Whether a parameter belongs to a layer that moves."""
    parts = name.split(".")
    return parts[0] == "encoder" and int(parts[2]) >= frozen


def _batches(tokens: list[list[int]], rng: Rng, *, together: int = 16) -> list[Tensor]:
    """Random batches of texts of like length, so that little is padding."""
    order = torch.randperm(len(tokens), generator=rng.at("order").generator())
    batches = []
    for chunk in order.split(BATCH * together):
        by_length = chunk[torch.tensor([len(tokens[i]) for i in chunk.tolist()]).argsort(stable=True)]
        batches += by_length.split(BATCH)
    mixed = torch.randperm(len(batches), generator=rng.at("batches").generator())
    return [batches[i] for i in mixed.tolist()]


def mean(states: Tensor, real: Tensor) -> Tensor:
    """(n, d) mean over the tokens that are no padding."""
    weight = real.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


def padded(tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """(n, longest) tokens, and 1 where they are real."""
    rows = [torch.tensor(row) for row in tokens]
    return tuple(  # type: ignore[return-value]
        nn.utils.rnn.pad_sequence(part, batch_first=True) for part in (rows, [torch.ones_like(row) for row in rows])
    )


def tokenized(texts: Sequence[str], most: int) -> list[list[int]]:
    """Numbers of word pieces, begin and end included."""
    made: list[list[int]] = _tokenizer()(list(texts), truncation=True, max_length=most)["input_ids"]
    return made


def network() -> Any:
    """A new copy of the published transformer."""
    import transformers

    return transformers.AutoModel.from_pretrained(str(_folder())).eval()


@functools.cache
def _tokenizer() -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(str(_folder()))


def _folder() -> Path:
    folder = Sentences()._folder
    assert folder is not None
    return folder
