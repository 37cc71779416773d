"""Graphs answer as the learners they were made of, without torch, and say what they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quickstudy.bundle import Bundle, load_bundle, save_bundle
from quickstudy.cli.export import export_command
from quickstudy.errors import BadFile, UnknownName, UserError
from quickstudy.export import Exported, export_bundle, export_state
from quickstudy.export.refused import NotExportable
from quickstudy.learner import Learner
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.memory.cells import LSTMCell
from quickstudy.learners.memory.recurrent import Recurrent
from quickstudy.learners.metric.prototypical import Prototypes, Prototypical
from quickstudy.outputs import central
from quickstudy.rng import Rng, forked
from quickstudy.state import load_state, save_state
from quickstudy.task import Examples

ort = pytest.importorskip("onnxruntime", reason="exporting needs onnxruntime, onnx and onnxscript")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript")

SIZES = [(2, 2, 1), (3, 9, 4), (3, 40, 17)]  # ways, examples, queries


def net(outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, outputs))


def bundled(folder: Path, learner: Learner, kind: str = "classification") -> Bundle:
    """A bundle of a learner whose running statistics are not those it began with."""
    for buffer in learner.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 1.5, generator=torch.Generator().manual_seed(1))
    parts = {name: net(n) for name, n in (("encoder", 5), ("net", 3)) if hasattr(learner, name)}
    return load_bundle(save_bundle(folder, learner, feature=(4,), kind=kind), **parts)


@pytest.fixture(scope="module")
def prototypical(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with forked(Rng(1)):
        return bundled(tmp_path_factory.mktemp("bundle") / "b", Prototypical(net(5)))


@pytest.fixture(scope="module")
def graph(prototypical: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_bundle(prototypical, tmp_path_factory.mktemp("graph") / "learner.onnx")


def task(ways: int, examples: int, queries: int, *, targets: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 * ways + examples)
    x = torch.randn(examples + queries, 4, generator=generator)
    y = torch.arange(examples) % ways if targets is None else torch.randn(examples, targets, generator=generator)
    return x[:examples], y, x[examples:]


def run(path: Path, **inputs: Tensor) -> list[np.ndarray]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {name: t.numpy() for name, t in inputs.items()})


def apart(bundle: Bundle, made: Exported, ways: int, examples: int, queries: int) -> float:
    """The largest difference of a graph's answers from the learner's own."""
    x, y, query = task(ways, examples, queries, targets=None if bundle.kind == "classification" else 3)
    rows = y if bundle.kind == "regression" else F.one_hot(y, ways).float()
    found = run(made.path, support_x=x, support_y=rows, query_x=query)[0]
    support = Examples(x, y, ways=ways if bundle.kind == "classification" else None)
    with torch.no_grad():
        right = central(bundle.learner.predict(bundle.learner.adapt(support), query))
    right = right if bundle.kind == "regression" else right[:, :ways]
    assert found.shape == right.shape
    return float(np.abs(found - right.numpy()).max())


def test_any_number_of_ways_shots_and_queries(prototypical: Bundle, graph: Exported) -> None:
    assert graph.inputs["support_x"] == ("examples", 4) and graph.outputs == ("logits",)
    assert graph.difference <= 1e-5 and graph.size == graph.path.stat().st_size
    for sizes in [*SIZES, (20, 60, 31), (1, 1, 1)]:
        assert apart(prototypical, graph, *sizes) <= 1e-5


def test_a_class_without_an_example_is_never_the_answer(graph: Exported) -> None:
    x, y, query = task(2, 6, 5)
    logits = run(graph.path, support_x=x, support_y=F.one_hot(y, 4).float(), query_x=query)[0]
    assert np.isneginf(logits[:, 2:]).all() and np.isfinite(logits[:, :2]).all()


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"statistics": "support"}, "classification"), ({"statistics": "batch", "rule": "layer-rates"}, "regression")],
)
def test_an_inner_loop_is_unrolled(options: dict[str, Any], kind: str, tmp_path: Path) -> None:
    with forked(Rng(2)):
        bundle = bundled(tmp_path / "b", MAML(net(3), steps=2, lr=0.3, **options), kind)
    made = export_bundle(bundle, tmp_path / "maml.onnx", targets=3)
    for sizes in SIZES:
        assert apart(bundle, made, *sizes) <= 1e-4
    x, y, query = task(3, 9, 4, targets=None if kind == "classification" else 3)
    y = y if kind == "regression" else F.one_hot(y, 3).float()
    alone = run(made.path, support_x=x, support_y=y, query_x=query[:1])[0]
    together = run(made.path, support_x=x, support_y=y, query_x=query)[0][:1]
    # With the statistics of the support set an answer rests on no other query; with those of the batch it does.
    assert (np.abs(alone - together).max() < 1e-5) == (options["statistics"] == "support")


WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "quickstudy", "onnx"):
            raise ImportError(f"{name} is not to be imported")
sys.meta_path.insert(0, Refuse())
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
x = numpy.eye(4, dtype="float32")
logits, = session.run(None, {"support_x": x, "support_y": x, "query_x": 0.9 * x[::-1]})
print(logits.tolist())
"""


def test_it_runs_without_torch(prototypical: Bundle, graph: Exported) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, str(graph.path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    x = torch.eye(4)
    with torch.no_grad():
        state = prototypical.learner.adapt(Examples(x, torch.arange(4), ways=4))
        right = prototypical.learner.predict(state, 0.9 * x.flip(0))
    assert torch.allclose(torch.tensor(json.loads(done.stdout)), right, atol=1e-5)


def test_a_file_says_what_it_is(prototypical: Bundle, graph: Exported) -> None:
    about = ort.InferenceSession(str(graph.path)).get_modelmeta().custom_metadata_map
    assert about["learner"] == "Prototypical" and about["bundle"] == prototypical.identity
    assert (about["kind"], json.loads(about["feature"]), about["part"]) == ("classification", [4], "task")


def test_a_task_that_was_learned(prototypical: Bundle, tmp_path: Path) -> None:
    x, y, query = task(3, 9, 4)
    state, envelope = prototypical.adapt(x, [("owl", "lynx", "Ω")[i] for i in y.tolist()])
    made = export_state(prototypical, state, envelope, tmp_path / "task.onnx")
    logits = run(made.path, query_x=query)[0]
    right = prototypical.predict(state, envelope, query)
    assert torch.allclose(torch.from_numpy(logits).softmax(1), right.probabilities, atol=1e-6)
    about = ort.InferenceSession(str(made.path)).get_modelmeta().custom_metadata_map
    assert tuple(json.loads(about["classes"])) == envelope.classes
    with pytest.raises(BadFile, match="made by the learner"):
        other = save_bundle(tmp_path / "b", Prototypical(nn.Flatten()), feature=(4,))
        export_state(load_bundle(other), state, envelope, tmp_path / "task.onnx")


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_task_of_a_fixed_head(kind: str, tmp_path: Path) -> None:
    bundle = bundled(tmp_path / "b", MAML(net(3), steps=1), kind)
    x, y, query = task(2, 4, 5, targets=None if kind == "classification" else 3)
    state, envelope = bundle.adapt(x, y)
    made = export_state(bundle, state, envelope, tmp_path / "task.onnx")
    found, right = torch.from_numpy(run(made.path, query_x=query)[0]), bundle.predict(state, envelope, query)
    if kind == "classification":
        assert found.shape == (5, 2) and torch.allclose(found.softmax(1), right.probabilities, atol=1e-6)
    else:
        assert made.outputs == ("value",) and torch.allclose(found, right.values, atol=1e-5)


def test_adapting_and_answering_apart(prototypical: Bundle, tmp_path: Path) -> None:
    parts = {part: export_bundle(prototypical, tmp_path / f"{part}.onnx", part=part) for part in ("adapt", "predict")}
    x, y, query = task(4, 8, 5)
    state, envelope = prototypical.adapt(x, y)
    found = run(parts["adapt"].path, support_x=x, support_y=F.one_hot(y, 4).float())
    assert parts["adapt"].outputs == ("state.sums", "state.counts")
    assert np.allclose(found[0], state.sums, atol=1e-5) and np.allclose(found[1], state.counts)
    # The tensors of a state file are what the other graph takes.
    save_state(state, tmp_path / "task.state", envelope)
    loaded, _ = load_state(tmp_path / "task.state", Prototypes)
    tensors = {"state.sums": loaded.sums, "state.counts": loaded.counts}
    logits = run(parts["predict"].path, query_x=query, **tensors)[0]
    assert np.abs(logits - prototypical.learner.predict(state, query).detach().numpy()).max() <= 1e-5


def test_a_program_of_torch(prototypical: Bundle, tmp_path: Path) -> None:
    made = export_bundle(prototypical, tmp_path / "learner.pt2", format="torch")
    facts = {"quickstudy.json": ""}
    program = torch.export.load(made.path, extra_files=facts).module()
    assert json.loads(facts["quickstudy.json"])["learner"] == "Prototypical"
    for ways, examples, queries in [*SIZES, (1, 1, 1)]:
        x, y, query = task(ways, examples, queries)
        with torch.no_grad():
            right = prototypical.learner.predict(prototypical.learner.adapt(Examples(x, y, ways=ways)), query)
            assert torch.allclose(program(x, F.one_hot(y, ways).float(), query)[0], right, atol=1e-5)


# What cannot be.


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with forked(Rng(3)):
        learner = Recurrent(LSTMCell(5, 6), inputs=4, outputs=3, hidden=7)
    cell = LSTMCell(5, 6)
    return load_bundle(save_bundle(tmp_path_factory.mktemp("r") / "b", learner, feature=(4,)), cell=cell)


def test_who_reads_one_by_one_needs_to_know_how_many(recurrent: Bundle, tmp_path: Path) -> None:
    with pytest.raises(NotExportable, match=r"others for each number of examples.*\(--examples\)"):
        export_bundle(recurrent, tmp_path / "r.onnx")
    assert not list(tmp_path.iterdir())
    made = export_bundle(recurrent, tmp_path / "r.onnx", examples=6, queries=2)
    assert made.inputs == {"support_x": (6, 4), "support_y": (6, "ways"), "query_x": (2, 4)}
    assert apart(recurrent, made, 3, 6, 2) <= 1e-5


class Deciding(Prototypical):
    """Looks at values, which a graph cannot."""

    def predict(self, state: Any, x: Tensor) -> Tensor:
        logits: Tensor = super().predict(state, x)
        return logits if float(state.sums.sum()) > 0 else -logits


class Counting(Prototypical):
    """Computes with a number of queries that torch does not see change."""

    def predict(self, state: Any, x: Tensor) -> Tensor:
        logits: Tensor = super().predict(state, x)
        return logits * int(x.shape[0])


class Frozen(Prototypical):
    """Adds a number that is not the same twice."""

    calls = 0

    def predict(self, state: Any, x: Tensor) -> Tensor:
        Frozen.calls += 1
        logits: Tensor = super().predict(state, x)
        return logits + self.calls


@pytest.mark.parametrize(
    ("learner", "words"),
    [(Deciding, "cannot be written"), (Counting, "number of queries"), (Frozen, "answers otherwise.*by .*e-0")],
)
def test_graphs_that_would_be_wrong(learner: type[Learner], words: str, tmp_path: Path) -> None:
    made = learner(nn.Flatten())  # type: ignore[call-arg]
    bundle = load_bundle(save_bundle(tmp_path / "b", made, feature=(4,)), learner=made)
    with pytest.raises(NotExportable, match=words):
        export_bundle(bundle, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_wrong_options(prototypical: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "x.onnx"
    with pytest.raises(UnknownName, match="Did you mean 'onnx'"):
        export_bundle(prototypical, out, format="onyx")
    with pytest.raises(UnknownName, match="part of a learner 'tasks'"):
        export_bundle(prototypical, out, part="tasks")
    with pytest.raises(UserError, match="1 or more"):
        export_bundle(prototypical, out, ways=0)
    regression = bundled(tmp_path / "b", MAML(net(3), steps=1), "regression")
    with pytest.raises(UserError, match="targets=3"):
        export_bundle(regression, out)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"onnxscript.*pip install 'quickstudy\[export\]'"):
        export_bundle(prototypical, out)


def test_command_line(prototypical: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_bundle(tmp_path / "bundle", Prototypical(nn.Flatten()), feature=(4,))
    bundle = load_bundle(folder)
    x, y, _ = task(2, 4, 1)
    state, envelope = bundle.adapt(x, y)
    save_state(state, tmp_path / "task.state", envelope)
    out = tmp_path / "task.onnx"
    command = [str(folder), "--state", str(tmp_path / "task.state"), "--out", str(out)]
    export_command.main([*command, "--json"], standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    assert said["inputs"] == {"query_x": ["queries", 4]} and said["bytes"] == out.stat().st_size
    with pytest.raises(UserError, match="have no say"):
        export_command.main([*command, "--part", "adapt"], standalone_mode=False)
