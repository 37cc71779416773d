"""quickstudy: learn across many small tasks, so that the next one needs a handful of examples.

    A task is a few labelled examples (support) and some questions (query).
    A learner is trained over many tasks, so that adapt(support) gives, at once, a state that
    answers the questions.

Families are namespaces: `quickstudy.metric.Prototypical`, `quickstudy.gradient.MAML`, `quickstudy.baseline.Majority`.
Names are imported when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

from .version import __version__ as __version__

# name -> module; __init__.pyi says the same to type checkers and editors, and a test holds the two together.
_NAMES = {
    "Examples": "task",
    "Task": "task",
    "Rng": "rng",
    "Learner": "learner",
    "Gaussian": "outputs",
    "Pool": "tasks.pool",
    "TaskSource": "tasks.source",
    "Episodes": "tasks.episodes",
    "Sinusoids": "tasks.functions",
    "GPDraws": "tasks.gp_draws",
    "Retrieval": "tasks.retrieval",
    "glyphs": "tasks.drawn.glyphs",
    "omniglot": "tasks.datasets.omniglot",
    "Groups": "tasks.groups",
    "cifar_fs": "tasks.datasets.cifar_fs",
    "mini_imagenet": "tasks.datasets.mini_imagenet",
    "movielens": "tasks.datasets.movielens",
    "fs_mol": "tasks.datasets.fs_mol",
    "meta_train": "loops.meta_train",
    "Checkpoint": "loops.checkpoint",
    "evaluate": "evaluation.evaluate",
    "compare": "evaluation.compare",
    "verify": "evaluation.protocols.verification",
    "evaluate_stream": "evaluation.protocols.stream",
    "audit": "evaluation.audit",
    "check_learner": "contract",
    "Recipe": "recipe",
    "build": "registry",
    "save_bundle": "bundle",
    "load_bundle": "bundle",
    "Study": "study",
    "FewShotClassifier": "estimators",
    "FewShotRegressor": "estimators",
    "ClassGroups": "tasks.class_groups",
    "FixedTasks": "tasks.fixed",
    "read_rows": "tasks.own.reading",
}

_FAMILIES = {
    "metric": {
        "Siamese": "learners.metric.siamese",
        "Matching": "learners.metric.matching",
        "Prototypical": "learners.metric.prototypical",
        "Relation": "learners.metric.relation",
        "SimpleShot": "learners.metric.simpleshot",
        "SoftPrototypes": "learners.metric.soft_prototypes",
    },
    "gradient": {
        "MAML": "learners.gradient.maml",
        "ProtoMAML": "learners.gradient.proto_maml",
        "Generated": "learners.gradient.generated",
        "Reptile": "learners.gradient.reptile",
    },
    "closed_form": {
        "RidgeHead": "learners.closed_form.ridge_head",
        "LogisticHead": "learners.closed_form.logistic_head",
        "Tabular": "learners.closed_form.tabular",
    },
    "memory": {
        "MANN": "learners.memory.mann",
        "SNAIL": "learners.memory.snail",
        "MetaNetworks": "learners.memory.meta_networks",
        "Recurrent": "learners.memory.recurrent",
        "LSTMCell": "learners.memory.cells",
        "FastWeightsCell": "learners.memory.cells",
        "DeltaCell": "learners.memory.cells",
    },
    "process": {
        "ConditionalProcess": "learners.process.conditional",
        "AttentiveProcess": "learners.process.attentive",
        "InContext": "learners.process.in_context",
    },
    "bayesian": {
        "DeepKernel": "learners.bayesian.deep_kernel",
        "BayesianLastLayer": "learners.bayesian.last_layer",
        "Ensemble": "learners.bayesian.ensemble",
    },
    "zero_shot": {
        "Described": "learners.zero_shot.described",
        "ESZSL": "learners.zero_shot.eszsl",
    },
    "baseline": {
        "NearestNeighbour": "learners.baseline.nearest",
        "LinearProbe": "learners.baseline.linear",
        "FromScratch": "learners.baseline.scratch",
        "FineTuned": "learners.baseline.finetuned",
        "Pooled": "learners.baseline.pooled",
        "Majority": "learners.baseline.majority",
        "Trees": "learners.baseline.trees",
    },
}

_MODULES = {"errors": "errors", "nets": "nets", "schedules": "loops.schedules"}

__all__ = [*_NAMES, *_FAMILIES, *_MODULES]


class _Family(SimpleNamespace):
    """A family of classes, each imported when it is first used."""

    def __init__(self, name: str):
        super().__init__()
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        return _load(_FAMILIES[self._name], name, f"quickstudy.{self._name}")

    def __dir__(self) -> list[str]:
        return sorted(_FAMILIES[self._name])

    def __repr__(self) -> str:
        return f"<quickstudy.{self._name}: {', '.join(dir(self))}>"


def _load(names: dict[str, str], name: str, where: str) -> Any:
    if name not in names:
        raise AttributeError(f"{where} has no '{name}'; it has {', '.join(sorted(names))}.")
    return getattr(importlib.import_module(f"{__name__}.{names[name]}"), name)


def __getattr__(name: str) -> Any:
    if name in _FAMILIES:
        found: Any = _Family(name)
    elif name in _MODULES:
        found = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    else:
        found = _load(_NAMES, name, "quickstudy")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
