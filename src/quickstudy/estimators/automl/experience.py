"""What is known of past data sets: how good each pipeline was, as shipped and as the user's own searches add to it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from ...learner import Learner
from ...rng import Rng
from ...storage import write_atomically
from ...tasks.meta_features.describe import describe
from ...tasks.scores.candidates import Candidates
from ...tasks.scores.reading.searches import read_studies
from ...tasks.scores.space import Space
from ...tasks.scores.table import ScoreTable
from ..pipelines.models import VERSION, settings_of
from ..pipelines.worker import Work
from ..sampler import MetaSampler

SHIPPED = Path(__file__).with_name("experience.npz")
LEAST = 3  # complete trials of a data set that say something about it


def past(classification: bool, metric: str, storage: Any = None, but: str = "") -> ScoreTable | None:
    """All that is known: the table that is shipped, joined by the user's own searches; None if there is nothing.

    Args:
        classification: or regression.
        metric: that scores are of; the table that is shipped has every one that `metric_of` knows.
        storage: of Optuna, with studies that `AutoClassifier` and `AutoRegressor` have left.
        but: the name of a study that is left out.
    """
    tables = [shipped(classification, metric), own(classification, metric, storage, but)]
    found = [table for table in tables if table is not None]
    return found[0].joined(found[1]) if len(found) > 1 else found[0] if found else None


def shipped(classification: bool, metric: str, path: Path = SHIPPED) -> ScoreTable | None:
    """What `benchmarks/experience.py` measured on data sets of scikit-learn and generators.

    None if the file is not there, or is of other pipelines than those of this version.
    """
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        kind = kind_of(classification)
        if about["version"] != VERSION or f"{kind}/scores/{metric}" not in file:
            return None
        candidates = Candidates.of(about[kind]["configurations"], Space(settings_of(classification)))
        return ScoreTable(
            tuple(about[kind]["datasets"]),
            candidates,
            _tensor(file[f"{kind}/scores/{metric}"]).unsqueeze(-1),
            _tensor(file[f"{kind}/seconds"]).unsqueeze(-1),
            features=_tensor(file[f"{kind}/features"]),
            feature_names=tuple(about[kind]["feature_names"]),
        )


def own(classification: bool, metric: str, storage: Any, but: str = "") -> ScoreTable | None:
    """The searches of a storage for this kind of task and metric, a data set each."""
    wanted = {"kind": kind_of(classification), "metric": metric, "version": VERSION}
    studies = []
    for about in [] if storage is None else optuna.get_all_study_summaries(storage, include_best_trial=False):
        if about.study_name != but and wanted.items() <= about.user_attrs.items():
            study = optuna.load_study(study_name=about.study_name, storage=storage)
            if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) >= LEAST:
                studies.append(study)
    return read_studies(studies) if studies else None


def features_of(work: Work, *, seconds: float) -> dict[str, float]:
    """The meta-features of what pipelines are fitted to."""
    return describe(
        work.x,
        work.y,
        kind="classification" if work.outputs else "regression",
        categorical=np.flatnonzero(work.categories).tolist(),
        time_limit=seconds,
        rng=Rng(work.seed, ("describe",)),
    )


def sampler_for(
    table: ScoreTable | None, learner: str | Learner, features: Mapping[str, float], *, seed: int
) -> BaseSampler:
    """Who says what to try next on a data set with these meta-features: Optuna's TPE where there is no table."""
    cold = optuna.samplers.TPESampler(seed=seed)
    if table is None:
        return cold
    described = None
    if table.features is not None:
        described = _tensor([features.get(name, float("nan")) for name in table.feature_names])
    return MetaSampler(table, learner, description=described, cold=cold, seed=seed)


def write(path: Path, parts: Mapping[bool, Mapping[str, Any]], command: str) -> None:
    """Write a table to ship.

    Args:
        path: of the file.
        parts: for classification (True) and regression: datasets, configurations, feature_names, and arrays scores (by
            metric, (D, C)), seconds (D, C) and features (D, m).
        command: that made it.
    """
    about: dict[str, Any] = {"version": VERSION, "command": command}
    arrays: dict[str, np.ndarray] = {}
    for classification, part in parts.items():
        kind = kind_of(classification)
        about[kind] = {name: list(part[name]) for name in ("datasets", "configurations", "feature_names")}
        for metric, scores in part["scores"].items():
            arrays[f"{kind}/scores/{metric}"] = np.asarray(scores, dtype=np.float32)
        for name in ("seconds", "features"):
            arrays[f"{kind}/{name}"] = np.asarray(part[name], dtype=np.float32)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
    write_atomically(path, content.getvalue())


def kind_of(classification: bool) -> str:
    """What a task is called."""
    return "classification" if classification else "regression"


def _tensor(values: Sequence[Any] | np.ndarray) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float64)
