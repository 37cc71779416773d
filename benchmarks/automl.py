"""AutoClassifier on tables of the KEEL repository (docs/results.md).

    python benchmarks/automl.py                a few hours: 12 tables x 5 folds x 30 s x (ours, FLAML), and the rest
    python benchmarks/automl.py --seconds 10

12 of the 22 tables, every second one by their number of rows from the smallest on; 5 stratified folds of each. Beside
AutoClassifier: scikit-learn's default of each family of models with the scaling and gaps that it needs, the
best of each family that AutoClassifier's own search found (tuned by the same trials), and FLAML in the same time where
it is installed. No table was used to choose anything: settings were chosen on drawn data sets and on four of
scikit-learn (benchmarks/experience.py). The figure is mean accuracy, the interval is over tables; ranks are means over
tables; comparisons are paired over folds, their variance corrected for folds that share rows (Nadeau and Bengio 2003).
What has been measured is kept in runs/keel-automl, so that the command can be stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.model_selection import StratifiedKFold

import _records
from quickstudy.errors import MissingData
from quickstudy.estimators.automl.auto import AutoClassifier
from quickstudy.estimators.pipelines.models import build, defaults
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.storage import write_atomically
from quickstudy.tasks.datasets.tables.keel import Tables

TABLES, FOLDS = 12, 5
OURS = "AutoClassifier"
Table = tuple[str, np.ndarray, np.ndarray]
Scores = dict[str, dict[str, list[float]]]  # learner -> table -> accuracy of each fold, in percent


def main() -> None:
    parser = _records.arguments(__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="for each fold of each table")
    options = parser.parse_args()
    try:
        tables = chosen(Tables.read())
    except MissingData as missing:
        print(f"skipped: {missing}")
        return
    if options.quick:
        name, x, y = tables[0]
        tables, options.seconds = [(name, x, y)], 20.0
    folder = _records.RUNS / ("keel-automl-quick" if options.quick else f"keel-automl-{options.seconds:g}s")
    scores: Scores = {}
    for name, x, y in tables:
        if options.only in name:
            for fold, found in enumerate(judged(name, x, y, options, folder)):
                print(f"{name} {fold}: " + ", ".join(f"{k} {v:.1f}" for k, v in found.items()), flush=True)
                for learner, accuracy in found.items():
                    scores.setdefault(learner, {}).setdefault(name, []).append(accuracy)
    if scores and (options.quick or not options.only):
        _records.write("automl", records(scores, options.seconds), quick=options.quick)
        print_comparisons(scores)


def chosen(tables: Tables) -> list[Table]:
    """Every second table by its number of rows, the smallest first; categories are words."""
    order = sorted(range(len(tables.names)), key=lambda i: (len(tables.y[i]), tables.names[i]))[::2]
    found = []
    for i in (order + [j for j in range(len(tables.names)) if j not in order])[:TABLES]:
        x = tables.x[i].astype(object)
        x[:, tables.categorical[i]] = np.char.add("v", tables.x[i][:, tables.categorical[i]].astype(int).astype(str))
        found.append((tables.names[i], x, tables.y[i]))
    return found


def judged(
    name: str, x: np.ndarray, y: np.ndarray, options: argparse.Namespace, folder: Path
) -> list[dict[str, float]]:
    """The accuracy of every learner on each fold; read where it was measured before."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
        splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y))
    for fold, (learned, kept) in enumerate(splits[:1] if options.quick else splits):
        path = folder / f"{name}-{fold}.json"
        if not path.is_file():
            scores = one(x[learned], y[learned], x[kept], y[kept], options.seconds)
            write_atomically(path, (json.dumps(scores) + "\n").encode())
        found.append(json.loads(path.read_text()))
    return found


def one(x: np.ndarray, y: np.ndarray, fresh: np.ndarray, truth: np.ndarray, seconds: float) -> dict[str, float]:
    """Accuracies on fresh rows, in percent."""
    began = time.perf_counter()
    ours = AutoClassifier(seconds).fit(x, y)
    took = time.perf_counter() - began
    if took > 1.1 * seconds + 1:
        print(f"AutoClassifier took {took:.1f} s of {seconds:g}")
    found = {OURS: 100 * float(ours.score(fresh, truth))}
    codes, reader = np.searchsorted(ours.classes_, y), ours.reader_
    plain, judge = reader.transform(x), reader.transform(fresh)
    best: dict[str, dict[str, Any]] = {}
    for row in ours.leaderboard():
        if not row["note"]:
            best.setdefault(f"{row['family']}, tuned", {"family": row["family"], **row["settings"]})
    named = {_name(configuration): configuration for configuration in defaults(True)} | best
    for label, configuration in named.items():
        least = int(np.bincount(codes).min())
        about = {"categories": reader.categories_, "rows": len(y), "least": least, "seed": 0}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = build(configuration, classification=True, **about).fit(plain, codes)
                found[label] = 100 * float(np.mean(ours.classes_[model.predict(judge)] == truth))
        except ValueError as error:  # a class with one row, or the like
            print(f"{label}: {error}")
    return found | flaml(plain, codes, judge, np.searchsorted(ours.classes_, truth), seconds)


def _name(configuration: dict[str, Any]) -> str:
    kind = {True: "extra trees", False: "forest"}.get(configuration.get("extra"), configuration["family"])
    return f"{kind} {configuration['shape']}" if "shape" in configuration else kind


def flaml(x: np.ndarray, y: np.ndarray, fresh: np.ndarray, truth: np.ndarray, seconds: float) -> dict[str, float]:
    """FLAML on one core in the same time, where it is installed."""
    try:
        from flaml import AutoML
    except ImportError:
        return {}
    model = AutoML()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y, task="classification", metric="accuracy", time_budget=seconds, n_jobs=1, verbose=0, seed=0)
        return {"FLAML": 100 * float(np.mean(model.predict(fresh) == truth))}


def ranks(scores: Scores) -> dict[str, float]:
    """The mean rank over tables, 1 the best, of learners that have answered all."""
    names = [name for name in scores if len(scores[name]) == len(scores[OURS])]
    means = np.array([[np.mean(scores[name][table]) for table in scores[OURS]] for name in names])
    return dict(zip(names, stats.rankdata(-means, axis=0).mean(1), strict=True))


def records(scores: Scores, seconds: float) -> list[dict[str, Any]]:
    """One a learner that has answered all tables."""
    places = ranks(scores)
    tables = sorted(scores[OURS])
    made = []
    for name in places:
        means = [float(np.mean(scores[name][table])) for table in tables]
        value, half = mean_interval(means)
        made.append(
            {
                "work": "keel-automl",
                "learner": name,
                "metric": "accuracy",
                "value": round(value, 4),
                "ci95": round(half, 4) if math.isfinite(half) else None,
                "rank": round(float(places[name]), 2),
                "split": f"{FOLDS} folds",
                "tasks": len(tables) * len(scores[name][tables[0]]),
                "queries": None,
                "interval": f"95% t over {len(tables)} tables",
                "seeds": 1,
                "transductive": False,
                "by_group": [round(mean, 2) for mean in means],
                "tables": tables,
                "published": None,
                "budget": f"{seconds:g} s a fold",
                **_records.circumstances(),
            }
        )
    return made


def print_comparisons(scores: Scores) -> None:
    """Ours against each other learner: mean difference, and the tables on which it is worse or better beyond chance."""
    for name, place in sorted(ranks(scores).items(), key=lambda item: item[1]):
        if name == OURS:
            print(f"{name}: mean rank {place:.2f}")
            continue
        worse, better, gaps = [], [], []
        for table, ours in scores[OURS].items():
            gap = np.array(ours) - np.array(scores[name][table])
            gaps.append(gap.mean())
            half = _half(gap)
            worse += [table] if gap.mean() + half < 0 else []
            better += [table] if gap.mean() - half > 0 else []
        print(f"{name}: mean rank {place:.2f}; ours {np.mean(gaps):+.2f}; better on {better}, worse on {worse}")


def _half(gap: np.ndarray) -> float:
    """Half of the 95 % interval of a difference over folds (Nadeau and Bengio 2003, doi:10.1023/A:1024068626366)."""
    n = len(gap)
    if n < 2:
        return math.inf
    spread = math.sqrt((1 / n + 1 / (FOLDS - 1)) * gap.var(ddof=1))
    return float(stats.t.ppf(0.975, n - 1)) * spread


if __name__ == "__main__":
    main()
