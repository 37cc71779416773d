"""The command line as a user meets it: results, messages, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from PIL import Image
from torch import nn

from quickstudy.bundle import save_bundle
from quickstudy.cli.main import call
from quickstudy.learners.metric.prototypical import Prototypical

RECIPE = """
[learner]
name = "maml"
net = { name = "mlp", inputs = 1, outputs = 1, hidden = [8] }
steps = 1
lr = 0.01
[source]
name = "sinusoids"
shots = 5
queries = 5
[train]
steps = STEPS
tasks = 4
checkpoint_every = 5
[validation]
every = 10
tasks = 8
[test]
tasks = 8
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "sine.toml"
    path.write_text(RECIPE.replace("STEPS", "20"))
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return save_bundle(tmp_path / "bundle", Prototypical(nn.Flatten()), feature=(1, 8, 8), kind="classification")


@pytest.fixture
def support(tmp_path: Path) -> Path:
    for number, name in enumerate(("owl", "lynx")):
        for i in range(2):
            path = tmp_path / "support" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 40 + 160 * number + i).save(path)
    return tmp_path / "support"


def test_train_evaluate_compare_audit(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert call(["train", str(recipe), "--out", str(out), "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["result"]["metric"] == "mse" and (out / "bundle" / "recipe.toml").is_file()
    for name in ("a", "b"):
        saved = str(tmp_path / f"{name}.json")
        assert call(["evaluate", str(out / "bundle"), "--tasks", "8", "--by-steps", "0,1", "--save", saved]) == 0
    assert "(95% over 8 tasks; 5-shot" in capsys.readouterr().out
    assert call(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"] == 0
    assert call(["audit", str(out / "bundle"), "--tasks", "8"]) == 0
    assert "No leak found" in capsys.readouterr().out


def test_what_the_command_line_says_of_a_run_is_done_and_kept(recipe: Path, tmp_path: Path) -> None:
    asked = ["--steps", "3", "--memory", "100GiB", "--device", "cpu", "--precision", "bfloat16", "--tests", "0"]
    assert call(["train", str(recipe), "--out", str(tmp_path / "run"), *asked]) == 0
    kept = tomllib.loads((tmp_path / "run" / "bundle" / "recipe.toml").read_text())["train"]
    assert (kept["steps"], kept["memory"], kept["device"], kept["precision"]) == (3, "100GiB", "cpu", "bfloat16")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "cuda:99"], "finds only"),
        (["--precision", "bfloat"], "Did you mean 'bfloat16'?"),
        (["--memory", "2 parsecs"], "write it like 2GiB"),
        (["--processes", "0"], "must be at least 1"),
    ],
)
def test_what_a_run_cannot_be_is_one_message(
    recipe: Path, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["train", str(recipe), "--out", str(tmp_path / "run"), *words]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


def test_adapt_and_predict(bundle: Path, support: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "new.state"
    assert call(["adapt", str(bundle), str(support), "--out", str(state)]) == 0
    assert "Learned 2 classes from 4 examples" in capsys.readouterr().out
    assert call(["predict", str(bundle), str(state), str(support / "owl"), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [row["answer"] for row in answers] == ["owl", "owl"]
    assert call(["predict", str(bundle), str(state), str(support / "lynx" / "0.png")]) == 0
    assert "lynx" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stdy"], "There is no command 'stdy'. Did you mean 'study'?"),
        (["study", "--tme", "30"], "--time"),
        (["study", "--time", "3"], "10"),
        (["study", "--source", "glyps"], "There is no source 'glyps'. Did you mean 'glyphs'?"),
        (["study", "--source", "sinusoids"], "a study takes glyphs or omniglot"),
        (["list", "learnrs"], "Did you mean 'learners'?"),
        (["train", "nowhere.toml"], "There is no recipe at nowhere.toml"),
        (["evaluate", "nowhere"], "nowhere"),
        (["compare", "a.json", "b.json"], "There is no result at a.json"),
        (["data", "fetch", "omniglut"], "Did you mean 'omniglot'?"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(words) == 2
    said = capsys.readouterr()
    assert message in said.err and "Traceback" not in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "maml"', 'name = "mamml"', "Did you mean 'maml'?"),
        ("lr = 0.01", "lrr = 0.01", "Did you mean 'lr'?"),
        ("steps = 20", "stepps = 20", "Did you mean 'steps'?"),
        ("steps = 20", 'steps = "many"', "should be a number"),
        ("[train]", "[train", "not valid TOML"),
        ("[learner]", "[lerner]", "Did you mean 'learner'?"),
        ("shots = 5", "shots = 0", "shots"),
    ],
)
def test_a_wrong_recipe_is_explained(
    recipe: Path, old: str, new: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    recipe.write_text(recipe.read_text().replace(old, new, 1))
    assert call(["train", str(recipe), "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_broken_files(bundle: Path, support: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "new.state"
    (support / "owl" / "broken.png").write_bytes(b"no image")
    assert call(["adapt", str(bundle), str(support), "--out", str(state)]) == 2
    assert "broken.png cannot be read as a picture" in capsys.readouterr().err
    (support / "owl" / "broken.png").unlink()
    assert call(["adapt", str(bundle), str(support), "--out", str(state)]) == 0
    state.write_bytes(state.read_bytes()[:-40])
    assert call(["predict", str(bundle), str(state), str(support / "owl")]) == 2
    assert "truncated" in capsys.readouterr().err
    assert call(["adapt", str(bundle), str(support), "--out", str(tmp_path / "new" / "folder" / "x.state")]) == 0
    weights = bundle / "learner.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert call(["adapt", str(bundle), str(support), "--out", str(state)]) == 2


def test_list_and_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"prototypical", "maml", "fomaml", "anil", "reptile"} <= {row["name"] for row in found["learners"]}
    assert call(["list", "nets"]) == 0 and "conv4" in capsys.readouterr().out
    assert call(["data", "show", "--json"]) == 0
    assert "omniglot" in capsys.readouterr().out


def test_ctrl_c_saves_and_exits_130_and_resume_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    recipe = tmp_path / "sine.toml"
    recipe.write_text(RECIPE.replace("STEPS", "4000"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from quickstudy.cli.main import run; run()", "train", str(recipe), "--tests", "0"]
    command += ["--out", str(tmp_path / "run"), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        last, patience = tmp_path / "run" / "last.safetensors", time.monotonic() + 60
        while not last.exists() and time.monotonic() < patience:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said and "Stopping after this step" in said
    recipe.write_text(RECIPE.replace("STEPS", "4000").replace("tasks = 4", "tasks = 8"))
    assert call(["train", str(recipe), "--out", str(tmp_path / "run"), "--resume"]) == 2


def test_tasks_that_do_not_fit_a_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["evaluate", str(bundle), "--tasks", "4", "--json"]) == 2
    assert "does not say which tasks it is for; name them with --source" in capsys.readouterr().err
