"""Intents and topics from a few examples: CLINC150, BANKING77 and HuffPost on frozen MiniLM (docs/results.md).

    python benchmarks/intents.py
    python benchmarks/intents.py --only huffpost

Classes of training, validation and test are others (`tasks/datasets/text/pools.py` says whose partition it is). The
encoder is frozen; what is meta-trained is a small net on its sentence embeddings, which begins as the identity, with 1
to 5 examples a class, and is kept as it was when it did best on validation classes. Beside it stand what needs no
meta-training: the nearest class mean and logistic regression on the same embeddings.

On validation classes, also tried: LR-D2 (worse than the nearest class mean on BANKING77), a rate of 3e-4 (on HuffPost
prototypes forget more than they learn), and whitening by the covariance within the training classes of BANKING77 (much
worse).

`described` is also told the names of the classes in plain words, and is judged with 0 to 20 examples of each.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import _records
from _minilm import WIDTH, TokenFeatures, stand_in
from quickstudy.encoders.cache.encoded import encoded
from quickstudy.errors import MissingData, UserError
from quickstudy.evaluation.compare import compare
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.result import Result
from quickstudy.learner import Learner
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.learners.closed_form.ridge_head import RidgeHead
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.learners.zero_shot.described import Described
from quickstudy.loops.meta_train import meta_train
from quickstudy.loops.schedules import cosine
from quickstudy.nets.mlp import MLP
from quickstudy.rng import Rng, forked
from quickstudy.tasks.datasets.text.pools import banking77, clinc150, huffpost
from quickstudy.tasks.episodes import Episodes

DATA: dict[str, Callable[..., Any]] = {"clinc150": clinc150, "banking77": banking77, "huffpost": huffpost}
PUBLISHED = {("huffpost", 5, 1): 43.0, ("huffpost", 5, 5): 63.5}  # Bao et al. 2020, the best of its table
SHOTS = (0, 1, 2, 5, 10, 20)
Row = dict[str, Any]


class Refined(nn.Module):
    """Embeddings of length one, corrected by a small net and made longer: scale * (x + net(x)).

    It begins as scale * x. The scale is learned; it is what makes distances into confidences.
    """

    features = WIDTH

    def __init__(self, *, hidden: int = 256, scale: float = 4.0):
        super().__init__()
        self.hidden, self.scale = hidden, scale
        self.correction = MLP(WIDTH, WIDTH, hidden=(hidden,))
        nn.init.zeros_(self.correction.layers[-1].weight)
        nn.init.zeros_(self.correction.layers[-1].bias)
        self.factor = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * (x + self.correction(x))


def encode(texts: list[str]) -> Tensor:
    """Sentence embeddings, from the cache where they are there."""
    return nn.functional.normalize(encoded(TokenFeatures(largest=False), texts), dim=-1)


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    for name, make in DATA.items():
        if options.only not in name:
            continue
        try:
            source = Episodes(make(stand_in if options.quick else encode), ways=5, shots=1, queries=15)
        except (MissingData, UserError) as missing:
            print(f"skipped {name}: {missing}")
            continue
        rows = examples_only(name, source, quick=options.quick)
        if name != "huffpost":
            rows += with_names(name, source, quick=options.quick)
        _records.write("intents", rows, quick=options.quick)


def examples_only(name: str, source: Episodes, *, quick: bool) -> list[Row]:
    """5 classes and all classes, 1 and 5 examples of each."""
    fixed: dict[str, Learner] = {"nearest class mean": Prototypical(nn.Identity()), "linear": LinearProbe(penalty=0.1)}
    trained = {
        "prototypical": train(name, "prototypical", lambda: Prototypical(Refined()), source, quick=quick),
        "r2d2": train(name, "r2d2", lambda: RidgeHead(Refined(), penalty=1.0), source, quick=quick),
    }
    classes = len(source.test.pool.members("test"))
    rows = []
    for ways in (5, classes) if name != "huffpost" else (5,):
        for shots in (1, 5):
            tests = source.test.replaced(ways=ways, shots=shots)
            count = 10 if quick else 1_000 if ways == 5 else 100
            work = f"{name}/{ways if ways == 5 else 'all'}-way-{shots}-shot"
            published = PUBLISHED.get((name, ways, shots))
            plain = {key: evaluate(learner, tests, tasks=count) for key, learner in fixed.items()}
            still = {"budget": "full", "cpu_seconds": 0, "published": published}
            rows.append(row(work, "prototypical", plain["nearest class mean"], ways, variant="not trained", **still))
            rows.append(row(work, "linear", plain["linear"], ways, **still))
            for key, (learner, cost) in trained.items():
                result = evaluate(learner, tests, tasks=count)
                said = compare(result, plain["nearest class mean"], names=(key, "the nearest class mean")).sentence
                rows.append(row(work, key, result, ways, compared=said, published=published, **cost))
    return rows


def with_names(name: str, source: Episodes, *, quick: bool) -> list[Row]:
    """All classes of the test, from their names alone to 20 examples of each."""
    zero_to_five = source.replaced(shots=(0, 5))
    learner, cost = train(
        name, "described", lambda: Described(Refined(), describer=Refined()), zero_to_five, quick=quick
    )
    ways = len(source.test.pool.members("test"))
    rows, before = [], None
    for shots in SHOTS:
        tests = source.test.replaced(ways=ways, shots=shots)
        found = {}
        for variant, judged in (("", learner), ("not trained, ", Described(nn.Identity()))):
            found[variant] = evaluate(judged, tests, tasks=10 if quick else 100)
        said = compare(found[""], found["not trained, "], names=("described", "described, not trained")).sentence
        for variant, result in found.items():
            more = cost | {"compared": said} if not variant else {"budget": "full", "cpu_seconds": 0}
            label = f"{variant}{shots} shot{'' if shots == 1 else 's'}"
            rows.append(row(f"{name}/zero-to-twenty", "described", result, ways, variant=label, published=None, **more))
        if before is not None and found[""].value + found[""].ci95 < before.value - before.ci95:
            print(f"{name}: {shots} examples are worse than fewer: {found['']} after {before}")
        before = found[""]
    return rows


def row(work: str, learner: str, result: Result, ways: int, **more: Any) -> Row:
    """A record that says how many classes a task had."""
    return _records.record(work, learner, result, ways=ways, **more)


def train(
    data: str, name: str, make: Callable[[], Learner], source: Episodes, *, quick: bool, steps: int = 300
) -> tuple[Learner, Row]:
    """A meta-trained learner, as it was when it did best on tasks of validation classes; and what that cost."""
    with forked(Rng(0, ("intents", name))):
        learner = make()
    shots = source.shots if isinstance(source.shots, tuple) else (1, 5)
    tasks = source.train.replaced(ways=10, shots=shots, queries=5)
    judge = source.validation.replaced(shots=shots)
    began, path = time.process_time(), _records.RUNS / f"intents-{data}-{name}" / "curve.jsonl"
    path.unlink(missing_ok=True)
    records = meta_train(
        learner,
        tasks,
        steps=2 if quick else steps,
        tasks=8,
        optimizer=functools.partial(torch.optim.Adam, lr=1e-4),
        schedule=cosine(steps),
        validate=lambda now: evaluate(now, judge, tasks=10 if quick else 200),
        every=25,
    )
    for _ in records if quick else _records.logged(records, path):
        pass
    points = [] if quick else _records.curve(path)
    cost = {"budget": "quick" if quick else "full", "cpu_seconds": round(time.process_time() - began)}
    return learner, cost | {"curve": _records.thinned(points)}


if __name__ == "__main__":
    main()
