"""The experience that AutoML ships with: its pipelines on data sets of scikit-learn and of generators.

    python benchmarks/experience.py

writes src/quickstudy/estimators/automl/experience.npz: every metric of every candidate on every data set, its seconds,
and the meta-features of the data sets. Candidates are scikit-learn's defaults and configurations drawn family by
family. No data set of any benchmark is among the data sets: beside the four that come with scikit-learn there are only
drawn ones, each a random net of random functions whose nodes are columns and target, some of them rounded to names,
bent, noisy, empty here and there, or not related to the target at all; half of the net's steps are those of trees.
What has been measured is kept in runs/experience, so that the command can be stopped and started again.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets as builtin

import _records
from quickstudy.estimators.automl.experience import SHIPPED, features_of, write
from quickstudy.estimators.pipelines.columns import ColumnReader
from quickstudy.estimators.pipelines.models import defaults, settings_of
from quickstudy.estimators.pipelines.worker import TrialFailed, Work, Worker
from quickstudy.estimators.stacking.crossfit import CLASSIFICATION, REGRESSION, answers_of
from quickstudy.estimators.stacking.folds import splits_of
from quickstudy.rng import Rng
from quickstudy.storage import write_atomically
from quickstudy.tasks.scores.candidates import name_of
from quickstudy.tasks.scores.settings import holds
from quickstudy.tasks.scores.space import Space

DRAWN = 10  # data sets a kind of task
EACH = 4  # configurations drawn of each family
FOLDS = 3
MOST = 300  # rows to learn from; as many more judge, where there are
SECONDS = 10.0  # for a fold of one candidate
STEPS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    np.tanh,
    np.sin,
    np.abs,
    lambda z: z,
    lambda z: np.sign(z - 0.3),
    lambda z: np.floor(2 * z),
    lambda z: np.maximum(z, 0),
    lambda z: z**2 / 2,
)


@dataclasses.dataclass(frozen=True)
class Data:
    """A data set: rows to learn from, and others that judge what was learned.

    Args:
        name: of it.
        x, y: (n, columns) of a `ColumnReader`, and (n,) numbers of classes or scaled targets.
        categories: (columns,) as `build` takes it.
        learned: how many rows come first, to learn from.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    categories: np.ndarray
    learned: int

    @classmethod
    def of(cls, name: str, x: np.ndarray, y: np.ndarray, classification: bool) -> Data:
        """Rows in an order that depends on the name alone, at most twice `MOST` of them."""
        order = np.random.default_rng(Rng(0, ("order", name)).number).permutation(len(y))[: 2 * MOST]
        learned = min(MOST, int(0.6 * len(order)))
        reader = ColumnReader().fit(x[order[:learned]])
        x, y = reader.transform(x[order]), y[order]
        if classification:
            y = np.unique(y, return_inverse=True)[1]
        else:
            y = (y - y[:learned].mean()) / y[:learned].std()
        return cls(name, x, y, reader.categories_, learned)


def drawn(name: str, classification: bool) -> Data:
    """A data set from a random net of random functions."""
    rng = np.random.default_rng(Rng(0, ("drawn", name)).number)
    n = int(np.exp(rng.uniform(np.log(150), np.log(MOST))) / 0.6) + MOST // 2
    z = rng.normal(size=(n, rng.integers(2, 12)))
    z = z if rng.random() < 0.5 else rng.uniform(-2, 2, size=z.shape)
    nodes = [*z.T]
    steps = [STEPS[i] for i in rng.choice(len(STEPS), rng.integers(1, 4), replace=False)]
    for _ in range(rng.integers(5, 40)):
        parents = rng.choice(len(nodes), min(len(nodes), rng.integers(1, 5)), replace=False)
        mixed = sum(rng.normal() * nodes[p] for p in parents) / np.sqrt(len(parents))
        node = steps[rng.integers(len(steps))](mixed + rng.normal()) + rng.choice([0, 0.1, 0.3]) * rng.normal(size=n)
        nodes.append((node - node.mean()) / (node.std() + 1e-9))
    target = nodes.pop() + rng.choice([0.05, 0.3, 0.8]) * rng.normal(size=n)
    columns = [nodes[i] for i in rng.choice(len(nodes), min(len(nodes), rng.integers(2, 31)), replace=False)]
    columns += [rng.normal(size=n) for _ in range(rng.choice([0, 0, 2, 8]))]
    x = np.array([_worn(column, rng) for column in columns], dtype=object).T
    if classification:
        ways = int(rng.choice([2, 2, 2, 3, 4, 7]))
        shares = np.cumsum(rng.dirichlet([3.0] * ways))[:-1]
        target = rng.permutation(ways)[np.searchsorted(np.quantile(target, shares), target)]
    return Data.of(name, x, target, classification)


def _worn(column: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A column as it may come: bent, rounded to names, or with gaps."""
    made = column.astype(object)
    kind = rng.random()
    if kind < 0.2:
        edges = np.quantile(column, np.sort(rng.random(rng.integers(1, 8))))
        names = rng.permutation(len(edges) + 1)
        made = np.array([f"v{names[i]}" for i in np.searchsorted(edges, column)], dtype=object)
    elif kind < 0.4:
        made = np.exp(rng.uniform(0.5, 2) * column.clip(-4, 4)).astype(object)
    if rng.random() < 0.15:
        made[rng.random(len(column)) < rng.uniform(0, 0.3)] = None
    return made


def data_sets(classification: bool, *, quick: bool = False) -> Iterator[Data]:
    """All of one kind."""
    if classification and not quick:
        for name in ("iris", "wine", "breast_cancer", "digits"):
            x, y = getattr(builtin, f"load_{name}")(return_X_y=True)
            yield Data.of(name, x, y, True)
    elif not quick:
        x, y = builtin.load_diabetes(return_X_y=True)
        yield Data.of("diabetes", x, y, False)
    kind = "classes" if classification else "numbers"
    for i in range(1 if quick else DRAWN):
        yield drawn(f"{kind}-{i}", classification)


def candidates(classification: bool) -> list[dict[str, Any]]:
    """scikit-learn's defaults, and configurations drawn family by family."""
    settings = settings_of(classification)
    found, space = defaults(classification), Space(settings)
    drawn_here = space.sample(0, 60 * EACH, rng=Rng(0, ("candidates",)))
    for family in settings["family"].choices:  # type: ignore[union-attr]
        found += [c for c in drawn_here if c["family"] == family][:EACH]
    found = list({name_of(c): c for c in found}.values())  # some families have few configurations
    for c in found:
        assert all((s.when is None or holds(s.when, c)) == (name in c) for name, s in settings.items()), c
    return found


def work_of(data: Data, classification: bool) -> Work:
    """The rows to learn from, in folds."""
    x, y = data.x[: data.learned], data.y[: data.learned]
    outputs = int(data.y.max()) + 1 if classification else 0
    return Work(x, y, data.categories, outputs, splits_of(y, FOLDS, classes=classification), 0)


def measured(data: Data, classification: bool, tried: list[dict[str, Any]], path: Path) -> dict[str, np.ndarray]:
    """Held-out answers of every candidate, its answers to the rows that judge, and its seconds; read if measured."""
    if path.is_file():
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    work = work_of(data, classification)
    outputs = work.outputs
    shape = (len(tried), len(data.y), max(outputs, 1))
    answers, seconds = np.full(shape, np.nan, dtype=np.float32), np.full(len(tried), np.nan)
    worker = Worker(work)
    for i, configuration in enumerate(tried):
        began = time.perf_counter()
        try:
            for number, (_, held) in enumerate(work.splits):
                answers[i, held] = worker.ask("fold", configuration, number, seconds=SECONDS)
            seconds[i] = time.perf_counter() - began
            model = worker.ask("whole", configuration, seconds=SECONDS)
            answers[i, data.learned :] = answers_of(
                model, data.x[data.learned :], np.arange(outputs) if outputs else None
            )
        except TrialFailed as error:
            print(f"{data.name}: {configuration['family']}: {error}")
    worker.close()
    found = {"answers": answers, "seconds": seconds, "y": data.y, "learned": np.array(data.learned)}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **found)
    write_atomically(path, content.getvalue())
    return found


def part(classification: bool, *, quick: bool) -> dict[str, Any]:
    """One kind of task, as `write` takes it."""
    tried = candidates(classification)[: 3 if quick else None]
    metrics = CLASSIFICATION if classification else REGRESSION
    names, scores, seconds, features = [], {name: [] for name in metrics}, [], []
    folder = _records.RUNS / ("experience-quick" if quick else "experience")
    for data in data_sets(classification, quick=quick):
        found = measured(data, classification, tried, folder / f"{data.name}.npz")
        work = work_of(data, classification)
        y, held = work.y, work.splits
        for name, metric in metrics.items():
            rows = found["answers"][:, : data.learned].astype(np.float64)
            whole = np.isfinite(rows).all((1, 2))  # others have failed
            means = [np.mean([metric(y[h], a[h]) for _, h in held]) for a in rows[whole]]
            scores[name].append(np.where(whole, 0.0, np.nan))
            scores[name][-1][whole] = means
        seconds.append(found["seconds"])
        features.append(features_of(work, seconds=60))
        names.append(data.name)
        print(f"{data.name}: {np.nansum(found['seconds']):.0f} s")
    known = sorted({name for row in features for name in row})
    return {
        "datasets": names,
        "configurations": tried,
        "feature_names": known,
        "scores": scores,
        "seconds": seconds,
        "features": [[row.get(name, np.nan) for name in known] for row in features],
    }


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    parts = {classification: part(classification, quick=options.quick) for classification in (True, False)}
    path = _records.RUNS / "experience-quick" / "experience.npz" if options.quick else SHIPPED
    write(path, parts, "python benchmarks/experience.py")
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
