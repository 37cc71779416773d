"""Who takes part in a study: candidates that are meta-trained, and the baselines an expert would insist on."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Entry:
    """A learner that takes part.

    Args:
        name: as in the registry.
        role: 'candidate' or 'baseline'.
        learner: table for the registry; '$encoder' stands for the network pre-trained on all training classes.
        share: of the time for training; 0 for what needs none.
        options: how its training episodes differ from those it is judged on.
        tasks: tasks a step.
        says: what it does, in a layman's words.
    """

    name: str
    role: str
    learner: dict[str, Any]
    share: float = 0.0
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    tasks: int = 1
    lr: float = 1e-3
    says: str = ""


def image_entries(shape: tuple[int, ...], ways: int, classes: int) -> list[Entry]:
    """Candidates and baselines for classification of small images."""
    conv = {"name": "conv4", "channels": shape[0], "size": shape[-1]}
    strided = conv | {"downsample": "stride", "outputs": ways}
    wide = {"ways": 30, "queries": 5}
    return [
        Entry("nearest", "baseline", {"name": "nearest"}, says="the most similar example, pixel by pixel"),
        Entry("linear", "baseline", {"name": "linear"}, says="logistic regression on pixels"),
        Entry(
            "scratch",
            "baseline",
            {"name": "scratch", "net": strided, "steps": 30},
            says="the same network trained on the new task alone",
        ),
        Entry(
            "baseline++",
            "baseline",
            {"name": "baseline++", "encoder": conv, "classes": classes},
            0.32,
            wide,
            says="a network trained to tell all known classes apart, then fine-tuned",
        ),
        Entry(
            "linear on baseline++",
            "baseline",
            {"name": "linear", "encoder": "$encoder"},
            says="logistic regression on what that network sees",
        ),
        Entry(
            "anil",
            "candidate",
            {"name": "anil", "net": strided, "steps": 3, "lr": 0.1},
            0.12,
            {"queries": 5},
            tasks=8,
            says="a network meta-trained so that a few steps of its last layer suffice",
        ),
        Entry(
            "prototypical",
            "candidate",
            {"name": "prototypical", "encoder": conv},
            0.56,
            wide,
            says="a network meta-trained so that examples of a class lie together",
        ),
    ]
