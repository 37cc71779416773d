"""Several processes train the learner that one would; when one is gone the others end, with one message."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from quickstudy.engine.processes import Processes
from quickstudy.errors import UserError
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.loops.checkpoint import Checkpoint, load_tensors
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.conv4 import Conv4
from quickstudy.tasks.functions import Sinusoids

TRAIN = """
import sys, torch
from quickstudy.engine.processes import joined_from_environment
from quickstudy.learners.gradient.maml import MAML
from quickstudy.loops.checkpoint import Checkpoint
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.mlp import MLP
from quickstudy.pytree import tree_map
from quickstudy.rng import Rng, forked
from quickstudy.tasks.functions import Sinusoids

class Double(Sinusoids):
    def sample(self, first, count):
        return tree_map(lambda t: t.double() if t.is_floating_point() else t, super().sample(first, count))

with forked(Rng(0)):
    learner = MAML(MLP(1, 1, hidden=(8,)), steps=2).double()
with joined_from_environment() as here:
    for record in meta_train(learner, Double(), steps=int(sys.argv[2]), tasks=6, resume=True,
                             checkpoint=Checkpoint(sys.argv[1], every=5)):
        if here.rank == 0:
            print(record.step, repr(record.loss), flush=True)
"""
RECIPE = """
[learner]
name = "maml"
net = { name = "mlp", inputs = 1, outputs = 1 }
[source]
name = "sinusoids"
[train]
steps = 1_000_000
tasks = 4
checkpoint_every = 10
[validation]
every = 1_000_000
"""


def trained(folder: Path, count: int, steps: int = 10) -> tuple[dict[str, Tensor], str]:
    """Weights after so many steps by so many processes, and what the first one printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(folder), str(steps)],
            env=shared | {"WORLD_SIZE": str(count), "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * count
    return load_tensors(Checkpoint(folder).last)[0], said[0]


def test_one_two_and_four_processes_end_with_the_same_weights_and_resume_each_other(tmp_path: Path) -> None:
    alone, losses = trained(tmp_path / "1", 1)
    trained(tmp_path / "mixed", 2, steps=5)
    mixed, _ = trained(tmp_path / "mixed", 4)
    two, _ = trained(tmp_path / "2", 2)
    for other in (mixed, two):
        assert alone.keys() == other.keys()
        assert all((alone[name] - other[name]).abs().max() < 1e-10 for name in alone)
    assert len(losses.splitlines()) == 10


def two_processes(folder: Path) -> subprocess.Popen[str]:
    """Started by the command line in a process group of their own, and as far as their first checkpoint."""
    (folder / "sine.toml").write_text(RECIPE, encoding="utf-8")
    run = subprocess.Popen(
        [sys.executable, "-m", "quickstudy", "train", "sine.toml", "--out", "run", "--processes", "2"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: (folder / "run" / "last.safetensors").exists() or run.poll() is not None)
    return run


@pytest.mark.skipif(sys.platform == "win32", reason="process groups and Ctrl-C are sent another way on Windows")
def test_ctrl_c_saves_and_says_once_how_to_go_on(tmp_path: Path) -> None:
    run = two_processes(tmp_path)
    try:
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130
    assert said.count("--resume") == 1 and said.count("Interrupted.") == 1 and "Traceback" not in said
    step = int(said.partition("Saved at step ")[2].partition(".")[0])
    assert load_tensors(tmp_path / "run" / "last.safetensors")[1]["step"] == step


def test_a_killed_process_ends_the_run_soon_with_one_message_and_a_checkpoint(tmp_path: Path) -> None:
    run = two_processes(tmp_path)
    try:
        os.kill(children(run.pid)[-1], signal.SIGKILL)
        began = time.monotonic()
        _, said = run.communicate(timeout=60)
    finally:
        run.kill()
    assert time.monotonic() - began < 30
    assert run.returncode == 1
    assert said.count("TrainingStopped") == 1 and "Traceback" not in said
    assert "by signal 9 was killed" in said and "--resume" in said
    assert load_tensors(tmp_path / "run" / "last.safetensors")[1]["step"] >= 10


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    if not found.exists():
        pytest.skip("children of a process can only be listed on Linux")
    return [int(child) for child in found.read_text(encoding="ascii").split()]


def until(holds: object, seconds: float = 300) -> None:  # a busy machine takes its time
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_shares_cover_all_tasks_in_order_and_more_processes_than_tasks_are_refused() -> None:
    for tasks in (4, 5, 7):
        shares = [Processes(rank, 4).share(tasks) for rank in range(4)]
        assert [number for share in shares for number in share] == list(range(tasks))
    with pytest.raises(UserError, match="5 processes share the 4 tasks"):
        Processes(0, 5).share(4)


def test_a_learner_that_normalises_over_all_tasks_of_a_step_is_not_shared_out() -> None:
    with mock.patch.object(Processes, "here", return_value=Processes(0, 2)):
        learner = Prototypical(Conv4(size=16, width=4))
        with pytest.raises(UserError, match="batch norm over them"):
            next(meta_train(learner, Sinusoids(), steps=1, tasks=2))


def test_statistics_that_follow_task_after_task_are_not_shared_out() -> None:
    """Two processes are made up: what is refused is refused before anything is sent."""
    net = nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    learner = MAML(net, statistics="per-step")
    with (
        mock.patch.object(Processes, "here", lambda: Processes(0, 2)),
        mock.patch.object(Processes, "told", lambda _, value: value),
        mock.patch.object(Processes, "any", lambda _, flag: flag),
        pytest.raises(UserError, match=r"lets norms\.running follow the tasks of a step"),
    ):
        next(meta_train(learner, Sinusoids(), steps=1, tasks=2))


def test_alone_nothing_is_sent() -> None:
    here = Processes.here()
    assert here == Processes() and here.told("x") == "x" and here.any(True) and not here.any(False)
    values = torch.arange(3.0)
    assert here.joined(values, 3) is values
