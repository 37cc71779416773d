"""A task as a picture: its support set, its queries, and which answers were right."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import torch
from PIL import Image
from torch import Tensor

from ..task import Task


def png(image: Tensor) -> str:
    """A (channels, height, width) image in 0..1 as a data URL; ink is shown dark on light, as it was drawn."""
    pixels = (image.detach().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    if pixels.shape[2] == 1:
        made = Image.fromarray(255 - pixels[:, :, 0])
    else:
        made = Image.fromarray(pixels[:, :, :3])
    file = io.BytesIO()
    made.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def task_figure(task: Task, answers: Tensor, names: Sequence[str], *, queries: int = 15) -> str:
    """HTML of one task: each class with its examples, then some queries with the answer each was given.

    Args:
        task: of images.
        answers: (q,) classes that a learner answered.
        names: of the classes.
        queries: how many to show at most: the wrong answers and, as they come, right ones.
    """
    rows = []
    for label, name in enumerate(names):
        images = "".join(_image(x, f"example of {name}") for x in task.support.x[task.support.y == label])
        rows.append(
            f'<div class="class"><span class="tag">{label + 1}</span>{images}<small>{escape(name)}</small></div>'
        )
    asked = []
    chosen = (answers == task.query.y).to(torch.int64).argsort(stable=True)[:queries].sort().values.tolist()
    for i in chosen:
        x, right, answer = task.query.x[i], int(task.query.y[i]), int(answers[i])
        good = right == answer
        word = f"{answer + 1} ✓" if good else f"{answer + 1} ✗ ({right + 1})"
        spoken = f"query of {names[right]}, answered {names[answer]}"
        asked.append(f'<div class="query {"right" if good else "wrong"}">{_image(x, spoken)}<span>{word}</span></div>')
    taught, questions = "".join(rows), "".join(asked)
    return f'<figure class="task"><div class="support">{taught}</div><div class="queries">{questions}</div></figure>'


def _image(x: Tensor, alt: str) -> str:
    return f'<img src="{png(x)}" alt="{escape(alt)}" width="56" height="56">'
