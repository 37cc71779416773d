"""What there is by name: where it lives, which keywords a name stands for, one line, and the paper. Plain data."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

KINDS = ("learner", "net", "source")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name.

    Args:
        kind: 'learner', 'net' or 'source'.
        name: what recipes and the command line call it.
        target: 'module:Class', imported only when it is built; a function for a source that makes a pool.
        line: what it is, for people.
        paper: where it comes from.
        preset: keywords that the name stands for.
    """

    kind: str
    name: str
    target: str
    line: str
    paper: str = ""
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def load(self) -> Any:
        """The class or function itself."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


_L, _B, _N, _T = "quickstudy.learners.", "quickstudy.learners.baseline.", "quickstudy.nets.", "quickstudy.tasks."
_MAML = _L + "gradient.maml:MAML"


def _of(kind: str, *rows: tuple[Any, ...]) -> tuple[Entry, ...]:
    return tuple(Entry(kind, *row) for row in rows)


LEARNERS = _of(
    "learner",
    (
        "prototypical",
        _L + "metric.prototypical:Prototypical",
        "nearest class mean in a learned embedding",
        "arXiv:1703.05175",
    ),
    ("maml", _MAML, "an initialisation a few gradient steps away from any task", "arXiv:1703.03400"),
    ("fomaml", _MAML, "MAML without second derivatives", "arXiv:1703.03400", {"first_order": True}),
    ("anil", _MAML, "MAML whose inner loop moves only the last layer", "arXiv:1909.09157", {"moves": "head"}),
    ("reptile", _L + "gradient.reptile:Reptile", "an initialisation pulled to where tasks take it", "arXiv:1803.02999"),
    ("nearest", _B + "nearest:NearestNeighbour", "the most similar example", "doi:10.1109/TIT.1967.1053964"),
    ("linear", _B + "linear:LinearProbe", "logistic or ridge regression on fixed features", "arXiv:2003.11539"),
    ("scratch", _B + "scratch:FromScratch", "a network trained on the new task alone"),
    ("baseline++", _B + "finetuned:FineTuned", "ordinary classification, then a new cosine head", "arXiv:1904.04232"),
    ("pooled", _B + "pooled:Pooled", "one network for all tasks, fine-tuned or not", "arXiv:1703.03400"),
    ("majority", _B + "majority:Majority", "the commonest class, or the mean target"),
    ("standardised", _L + "standardised:Standardised", "another learner, with targets scaled as in meta-train"),
)
NETS = _of(
    "net",
    ("conv4", _N + "conv4:Conv4", "four blocks of convolution, for small images", "arXiv:1606.04080"),
    ("resnet12", _N + "resnet12:ResNet12", "four residual blocks of three convolutions", "arXiv:1805.10123"),
    ("mlp", _N + "mlp:MLP", "linear layers with ReLU between them"),
    ("flatten", "torch.nn:Flatten", "the input itself, as a vector"),
)
SOURCES = _of(
    "source",
    ("glyphs", _T + "glyphs:glyphs", "characters of many scripts, drawn by the library itself; no download"),
    ("omniglot", _T + "omniglot:omniglot", "handwritten characters of 50 alphabets", "doi:10.1126/science.aab3050"),
    ("sinusoids", _T + "functions:Sinusoids", "sine curves of random amplitude and phase", "arXiv:1703.03400"),
    ("gp", _T + "functions:GPDraws", "curves drawn from a Gaussian process", "arXiv:1807.01622"),
)
CATALOGUE = (*LEARNERS, *NETS, *SOURCES)
