"""Recipes: a whole training run in one readable TOML file, which names things and gives them keywords."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .errors import BadFile, UnknownName, UserError
from .learner import Learner
from .loops.schedules import Schedule, constant, cosine, halving, linear, stable_decay
from .registry import build, build_source
from .rng import Rng, forked
from .tasks.source import TaskSource

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@dataclasses.dataclass(frozen=True)
class Training:
    """How a learner is meta-trained.

    Args:
        steps: outer steps.
        tasks: tasks a step (the meta-batch).
        lr: rate of the outer optimizer.
        optimizer: 'adam', 'adamw' or 'sgd'.
        schedule: 'constant', 'halving' (every `halve_every` steps), 'linear' or 'cosine' (to zero at the end), or
            'stable-decay' (constant, then to zero over the last `decay_steps`).
        halve_every: steps.
        decay_steps: steps.
        checkpoint_every: steps between two savings.
        seconds: stop after so much time; None for no limit.
        memory: keep within it, such as '2GiB'; None for no limit.
        device: 'cpu', 'cuda', 'cuda:1', 'mps' or 'auto'.
        precision: what the layers of nets compute in, 'float32' or 'bfloat16'.
    """

    steps: int = 10_000
    tasks: int = 1
    lr: float = 1e-3
    optimizer: str = "adam"
    schedule: str = "constant"
    halve_every: int = 2_000
    decay_steps: int = 1_000
    checkpoint_every: int = 250
    seconds: float | None = None
    memory: str | None = None
    device: str = "cpu"
    precision: str = "float32"

    def optimizers(self) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
        """parameters -> optimizer."""
        if self.optimizer not in OPTIMIZERS:
            raise UnknownName.among("optimizer", self.optimizer, OPTIMIZERS)
        return partial(OPTIMIZERS[self.optimizer], lr=self.lr)

    def schedules(self) -> Schedule:
        """step -> factor on the rate."""
        made = {
            "constant": constant(),
            "halving": halving(self.halve_every),
            "linear": linear(self.steps),
            "stable-decay": stable_decay(self.steps, self.decay_steps),
            "cosine": cosine(self.steps),
        }
        if self.schedule not in made:
            raise UnknownName.among("schedule", self.schedule, made)
        return made[self.schedule]


@dataclasses.dataclass(frozen=True)
class Judging:
    """On which tasks a learner is validated or tested: how many, and how they differ from those it is trained on.

    Args:
        tasks: how many.
        every: steps between two validations.
        options: keywords of the source that differ (ways, shots, queries, seed ...).
    """

    tasks: int = 200
    every: int = 500
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def of(self, source: TaskSource, split: str) -> TaskSource:
        """The tasks to judge on."""
        # At once: the training ways may be more than that split has classes.
        return source.replaced(split=split, **self.options)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides a run: learner, tasks, training, judging and seed.

    >>> recipe = Recipe.parse('''
    ... seed = 1
    ... [learner]
    ... name = "maml"
    ... net = { name = "mlp", inputs = 1, outputs = 1 }
    ... [source]
    ... name = "sinusoids"
    ... [train]
    ... steps = 100
    ... ''')
    >>> recipe.train.steps, type(recipe.make_learner()).__name__
    (100, 'MAML')
    """

    learner: Mapping[str, Any]
    source: Mapping[str, Any]
    train: Training = Training()
    validation: Judging = Judging()
    test: Judging = Judging(tasks=1_000)
    seed: int = 0
    title: str = ""

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """The recipe in a TOML file.

        Raises:
            BadFile: not there, or not TOML.
            UnknownName: a key that means nothing, with the nearest one that does.
        """
        path = Path(path)
        if not path.is_file():
            raise BadFile(f"There is no recipe at {path}; those that come with quickstudy are in its folder recipes/.")
        try:
            return cls.parse(path.read_text(encoding="utf-8"), where=str(path))
        except UnicodeDecodeError as error:
            raise BadFile(f"The recipe {path} is not UTF-8 text: {error}.") from error

    @classmethod
    def parse(cls, text: str, *, where: str = "the recipe") -> Recipe:
        """The recipe in a TOML text."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadFile(f"{where} is not valid TOML: {error}.") from error
        return cls.of(table, where=where)

    @classmethod
    def of(cls, table: Mapping[str, Any], *, where: str = "the recipe") -> Recipe:
        """The recipe in a table of tables."""
        known = [f.name for f in dataclasses.fields(cls)]
        for key in table:
            if key not in known:
                raise UnknownName.among(f"section of {where}", key, known)
        for section in ("learner", "source"):
            if not isinstance(table.get(section), Mapping) or "name" not in table[section]:
                raise BadFile(f'{where} needs a section [{section}] with a name = "...".')
        return cls(
            learner=dict(table["learner"]),
            source=dict(table["source"]),
            train=_typed(Training, table.get("train", {}), where),
            validation=_judging(table.get("validation", {}), Judging()),
            test=_judging(table.get("test", {}), Judging(tasks=1_000)),
            seed=int(table.get("seed", 0)),
            title=str(table.get("title", "")),
        )

    def table(self) -> dict[str, Any]:
        """The recipe as a table that `of` reads back (None left out, as TOML has none)."""
        plain: dict[str, Any] = {
            "title": self.title,
            "seed": self.seed,
            "learner": dict(self.learner),
            "source": dict(self.source),
            "train": dataclasses.asdict(self.train),
        }
        for name, judging in (("validation", self.validation), ("test", self.test)):
            plain[name] = {"tasks": judging.tasks, "every": judging.every, **judging.options}
        plain["train"] = {k: v for k, v in plain["train"].items() if v is not None}
        return plain

    def make_learner(self, **modules: nn.Module) -> Learner:
        """A fresh learner; its first weights depend on the seed alone."""
        with forked(Rng(self.seed).at("init")):
            made = build("learner", self.learner, **modules)
        assert isinstance(made, Learner)
        return made

    def make_source(self) -> TaskSource:
        """The training tasks."""
        return build_source({"seed": self.seed, **self.source})


def _typed(cls: type[Training], table: Mapping[str, Any], where: str) -> Training:
    fields = {f.name: f.type for f in dataclasses.fields(cls)}
    for key, value in table.items():
        if key not in fields:
            raise UnknownName.among(f"key of [train] in {where}", key, fields)
        wants_text = "str" in str(fields[key])
        if isinstance(value, str) != wants_text or isinstance(value, bool):
            raise UserError(
                f"{key} = {value!r} in [train] of {where} should be a {'text' if wants_text else 'number'}."
            )
        if not wants_text and value <= 0:
            raise UserError(f"{key} = {value} in [train] of {where} should be above zero.")
    return cls(**table)


def _judging(table: Mapping[str, Any], default: Judging) -> Judging:
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items() if k not in ("tasks", "every")}
    return Judging(int(table.get("tasks", default.tasks)), int(table.get("every", default.every)), options)
