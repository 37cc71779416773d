"""The profile of a run: phases that add up, what is inside a step, and memory."""

from __future__ import annotations

import time
from pathlib import Path

from click.testing import CliRunner
from torch import nn

from quickstudy.cli.train import train_command
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.loops.meta_train import meta_train
from quickstudy.loops.profile import OPTIMIZER, PARTS, SAMPLING, STEP, Profile
from quickstudy.nets.mlp import MLP
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.functions import Sinusoids
from quickstudy.tasks.pool import Pool


class Slow(Sinusoids):
    def sample(self, first: int, count: int):  # type: ignore[no-untyped-def]
        time.sleep(0.05)
        return super().sample(first, count)


def test_phases_are_counted_and_a_slow_source_is_found_out() -> None:
    profile = Profile()
    began = time.perf_counter()
    for _ in meta_train(MAML(MLP(1, 1), steps=2), Slow(), steps=5, tasks=4, profile=profile):
        pass
    whole = time.perf_counter() - began
    assert set(profile.seconds) == {SAMPLING, STEP, OPTIMIZER}
    assert 0.25 <= profile.seconds[SAMPLING] < sum(profile.seconds.values()) <= whole
    said = str(profile)
    assert all(part in said for part in PARTS) and "the whole process, at most" in said
    assert profile.memory["weights"] == sum(4 * p.numel() for p in MLP(1, 1).parameters())


def test_learners_that_embed_all_tasks_at_once_have_no_parts_inside_a_step() -> None:
    pool = Pool.of(nn.init.normal_(Sinusoids().sample(0, 1).support.x.new_empty(12, 3)), list("aaaabbbbcccc"))
    profile = Profile()
    source = Episodes(pool, ways=2, shots=1, queries=2)
    for _ in meta_train(Prototypical(nn.Linear(3, 2)), source, steps=2, profile=profile):
        pass
    assert not profile.parts and STEP in profile.seconds


def test_the_command_line_says_where_time_went(tmp_path: Path) -> None:
    recipe = tmp_path / "sine.toml"
    recipe.write_text(
        '[learner]\nname = "maml"\nnet = { name = "mlp", inputs = 1, outputs = 1 }\n[source]\nname = "sinusoids"\n'
        "[train]\nsteps = 3\ntasks = 2\n[validation]\ntasks = 4\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(train_command, [str(recipe), "--out", str(tmp_path / "run"), "--tests", "0", "--profile"])
    assert done.exit_code == 0, done.output
    for phase in (SAMPLING, STEP, "validation", "saving checkpoints", "outer backward pass"):
        assert phase in done.output
