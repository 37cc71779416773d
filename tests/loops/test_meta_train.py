"""The loop: records, validation, checkpoints, resume, and what stops it."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from quickstudy.errors import BadFile, QuickstudyError, TrainingStopped, UserError
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.loops.checkpoint import Checkpoint, load_tensors
from quickstudy.loops.meta_train import meta_train
from quickstudy.loops.schedules import cosine, halving, linear
from quickstudy.rng import Rng, forked
from quickstudy.state import fingerprint
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool


def small_pool() -> Pool:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(12, 6, generator=generator)
    x = centres.repeat_interleave(10, 0) + 0.3 * torch.randn(120, 6, generator=generator)
    return Pool.of(x, [i // 10 for i in range(120)], split={i: ("train" if i < 8 else "validation") for i in range(12)})


def small_learner() -> MAML:
    with forked(Rng(0)):
        return MAML(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)), steps=2, lr=0.3)


def small_source() -> Episodes:
    return Episodes(small_pool(), ways=3, shots=1, queries=4)


class Judged(float):
    score = property(float)


def train(learner: MAML, steps: int, **options: object) -> list[object]:
    options = {"schedule": halving(7)} | options
    return list(meta_train(learner, small_source(), steps=steps, tasks=4, **options))  # type: ignore[arg-type]


def test_training_lowers_the_loss_and_counts() -> None:
    learner = small_learner()
    records = train(learner, 60, schedule=None, optimizer=partial(torch.optim.Adam, lr=0.01))
    assert [r.step for r in records] == list(range(1, 61))
    assert records[-1].tasks == 240
    assert sum(r.loss for r in records[-10:]) < 0.8 * sum(r.loss for r in records[:10])


def test_the_best_weights_on_validation_are_kept_and_restored() -> None:
    learner, seen = small_learner(), []
    scores = iter([1.0, 3.0, 2.0])

    def validate(learner: nn.Module) -> Judged:
        seen.append(fingerprint(learner))
        return Judged(next(scores))

    records = train(learner, 6, validate=validate, every=2)
    assert [r.best for r in records if r.validation is not None] == [True, True, False]
    assert fingerprint(learner) == seen[1]


def test_stopping_and_resuming_is_the_same_run(tmp_path: Path) -> None:
    whole = small_learner()
    train(whole, 25)
    checkpoint = Checkpoint(tmp_path, every=5)
    for stop in (7, 13, 25):
        learner = small_learner()
        records = meta_train(
            learner, small_source(), steps=25, tasks=4, schedule=halving(7), checkpoint=checkpoint, resume=True
        )
        for record in records:
            if record.step == stop:
                records.close()
    assert fingerprint(learner) == fingerprint(whole)


def test_a_program_that_ends_with_an_error_has_saved_its_last_step(tmp_path: Path) -> None:
    program = VICTIM.replace("print(record.step, flush=True)", "1 / (record.step != 7)")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)], stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1 and done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert load_tensors(Checkpoint(tmp_path).last)[1]["step"] == 7


def test_a_limit_on_memory_goes_on_to_hold_after_an_interruption(tmp_path: Path) -> None:
    begun = small_learner()
    records = meta_train(begun, small_source(), steps=3, tasks=4, checkpoint=Checkpoint(tmp_path), memory="100GiB")
    next(records)
    begun.gradient = "checkpointed"  # as the limit does where one task would not fit otherwise
    records.close()
    for memory, gradient in (("100GiB", "checkpointed"), ("101GiB", "exact")):
        again = small_learner()
        next(
            meta_train(
                again, small_source(), steps=3, tasks=4, checkpoint=Checkpoint(tmp_path), resume=True, memory=memory
            )
        )
        assert again.gradient == gradient


def test_a_resumed_run_restores_the_best_validated_weights(tmp_path: Path) -> None:
    scores = [2.0, 1.0]
    checkpoint = Checkpoint(tmp_path, every=1)
    first = small_learner()
    records = meta_train(
        first,
        small_source(),
        steps=4,
        tasks=2,
        validate=lambda _: Judged(scores.pop(0)),
        every=2,
        checkpoint=checkpoint,
    )
    for record in records:
        if record.step == 2:
            best = fingerprint(first)
            records.close()
    again = small_learner()
    rest = meta_train(
        again, small_source(), steps=4, tasks=2, validate=lambda _: Judged(scores.pop(0)), every=2,
        checkpoint=checkpoint, resume=True,
    )  # fmt: skip
    assert [r.step for r in rest] == [3, 4]
    assert fingerprint(again) == best
    # Without validation nothing was asked for but the last weights, whatever an earlier session validated.
    last = small_learner()
    list(meta_train(last, small_source(), steps=4, tasks=2, checkpoint=checkpoint, resume=True))
    assert fingerprint(last) != best


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    train(small_learner(), 2, checkpoint=Checkpoint(tmp_path))
    with pytest.raises(BadFile, match="another run: its tasks is 4, here it is 8"):
        list(
            meta_train(small_learner(), small_source(), steps=3, tasks=8, checkpoint=Checkpoint(tmp_path), resume=True)
        )
    with pytest.raises(BadFile, match="another run: its learner is MAML, here it is Prototypical"):
        learner = Prototypical(nn.Linear(6, 3))
        list(meta_train(learner, small_source(), steps=3, tasks=4, checkpoint=Checkpoint(tmp_path), resume=True))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text"])
def test_a_damaged_checkpoint_says_so(tmp_path: Path, damage: str) -> None:
    checkpoint = Checkpoint(tmp_path)
    train(small_learner(), 2, checkpoint=checkpoint)
    content = bytearray(checkpoint.last.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[-9] ^= 1
    else:
        content = bytearray(b"not a checkpoint")
    checkpoint.last.write_bytes(content)
    with pytest.raises(BadFile, match=r"truncated|altered"):
        train(small_learner(), 3, checkpoint=checkpoint, resume=True)


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path, every=1)
    train(small_learner(), 2, checkpoint=checkpoint)
    before = checkpoint.last.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(QuickstudyError, match=r"Could not save .*last.safetensors .*No space left.*untouched"):
        train(small_learner(), 4, checkpoint=checkpoint, resume=True)
    assert checkpoint.last.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.safetensors"]
    assert load_tensors(checkpoint.last)[1]["step"] == 2


def test_a_loss_that_is_not_finite_stops_with_step_task_and_cause() -> None:
    learner = small_learner()
    before = fingerprint(learner)
    learner.descent.lr = 1e30
    with pytest.raises(TrainingStopped, match=r"step 1: the loss of episode \d+ is (nan|inf).*lower the inner lr"):
        train(learner, 3)
    assert fingerprint(learner) == before


def test_data_that_is_not_finite_is_named_as_the_cause() -> None:
    source = small_source()
    source.pool.x[:80, 0] = float("nan")
    with pytest.raises(TrainingStopped, match="its inputs hold NaN or infinity"):
        list(meta_train(small_learner(), source, steps=1))


def test_nothing_to_train() -> None:
    with pytest.raises(UserError, match="nothing to meta-train"):
        list(meta_train(Prototypical(nn.Flatten()), small_source(), steps=1))


def test_a_time_limit_ends_the_run() -> None:
    assert len(list(meta_train(small_learner(), small_source(), steps=10**9, seconds=0.2))) < 10**6


def test_schedules() -> None:
    assert [linear(4)(s) for s in (0, 2, 4, 6)] == [1, 0.5, 0, 0]
    assert cosine(10)(0) == 1 and abs(cosine(10)(5) - 0.5) < 1e-12 and cosine(10, floor=0.1)(10) == 0.1


VICTIM = """
import sys, torch
sys.path.insert(0, sys.argv[2])
import test_meta_train as t
from pathlib import Path
torch.set_num_threads(1)
learner = t.small_learner()
checkpoint = t.Checkpoint(Path(sys.argv[1]), every=3)
records = t.meta_train(learner, t.small_source(), steps=400, tasks=4, checkpoint=checkpoint, resume=True)
for record in records:
    print(record.step, flush=True)
print(t.fingerprint(learner), flush=True)
"""


def test_kill_dash_nine_ten_times_then_resume_gives_the_same_weights(tmp_path: Path) -> None:
    """Killed at random moments, some of them while a checkpoint is being written."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = small_learner()
    list(meta_train(whole, small_source(), steps=400, tasks=4))
    torch.set_num_threads(threads)
    dice = random.Random(0)
    command = [sys.executable, "-c", VICTIM, str(tmp_path), str(Path(__file__).parent)]
    killed, reached = 0, 0
    while killed < 10:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            # A run that died between writing a checkpoint and printing its step goes on one step further.
            assert reached - 3 < first <= reached + 2, "at most what came after the last checkpoint is lost"
            for _ in range(dice.randrange(1, 32)):
                reached = int(process.stdout.readline())
            time.sleep(dice.random() * 0.01)
            process.send_signal(signal.SIGKILL)
            reached = max([reached, *map(int, process.stdout.read().split())])
            killed += 1
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.split()
    assert killed == 10
    assert lines[-1] == fingerprint(whole)
