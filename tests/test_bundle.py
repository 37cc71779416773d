"""Bundles: what goes in comes out, and a damaged one never opens."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from quickstudy.bundle import Bundle, load_bundle, save_bundle
from quickstudy.errors import BadExamples, BadFile, QuickstudyError, UserError
from quickstudy.learner import Learner
from quickstudy.learners.baseline.finetuned import FineTuned
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.baseline.pooled import Pooled
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.learners.standardised import Standardised
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.mlp import MLP
from quickstudy.recipe import Recipe
from quickstudy.state import fingerprint, load_state, save_state
from quickstudy.tasks.functions import Sinusoids

FILES = ("recipe.toml", "learner.safetensors", "result.json", "README.md")
X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [5.0, 5.0], [5.0, 6.0]])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with everything in it."""
    learner = Prototypical(MLP(2, 3, hidden=(4,)))
    recipe = {
        "title": "Tiny",
        "seed": 1,
        "source": {"name": "glyphs", "ways": 2},
        "train": {"steps": 3, "seconds": None},
    }
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    return save_bundle(folder, learner, recipe=recipe, results={"value": 98.5}, feature=(2,), classes=["owl", "Ω"])


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "tiny"))


def same(a: Learner, b: Learner) -> bool:
    return fingerprint(a) == fingerprint(b)


def test_what_goes_in_comes_out(original: Path) -> None:
    before = torch.random.get_rng_state()
    bundle = load_bundle(original)
    assert torch.equal(before, torch.random.get_rng_state())
    assert isinstance(bundle.learner, Prototypical) and not bundle.learner.training
    assert fingerprint(bundle.learner) == bundle.about["weights"]["sha256"]
    assert (bundle.feature, bundle.kind, bundle.result) == ((2,), "classification", {"value": 98.5})
    assert bundle.about["trained_on"]["classes"] == ["owl", "Ω"]
    recipe = Recipe.of(bundle.recipe)
    assert (recipe.title, recipe.seed, recipe.train.steps) == ("Tiny", 1, 3)
    assert recipe.learner["encoder"] == {"name": "mlp", "inputs": 2, "outputs": 3, "hidden": [4]}
    card = (original / "README.md").read_text()
    assert all(
        word in card
        for word in ("# Tiny", "arXiv:1703.05175", "quickstudy evaluate tiny", "bundle.adapt(", "## Limits", "ways 2")
    )


@pytest.mark.parametrize(
    "learner",
    [
        MAML(Conv4(1, size=16, width=2, outputs=2), gradient="first-order", rule="layer-rates"),
        FineTuned(Conv4(1, size=16, width=2), 4),
        NearestNeighbour(),
        NearestNeighbour(Conv4(1, size=16, width=2), k=2),
        Standardised(Pooled(MLP(1, 1))),
        Prototypical(MLP(2, 3)).double(),
    ],
    ids=lambda learner: type(learner).__name__,
)
def test_every_kind_of_learner(learner: Learner, tmp_path: Path) -> None:
    for name, buffer in learner.named_buffers():
        if buffer.is_floating_point():
            torch.nn.init.uniform_(buffer, 0.5, 1.5, generator=torch.Generator().manual_seed(len(name)))
    loaded = load_bundle(save_bundle(tmp_path / "b", learner, feature=(1, 16, 16))).learner
    assert same(loaded, learner)
    for a, b in zip(loaded.parameters(), learner.parameters(), strict=True):
        assert a.stride() == b.stride() and a.requires_grad == b.requires_grad


def test_adapt_and_predict_with_names(original: Path, tmp_path: Path) -> None:
    bundle = load_bundle(original)
    state, envelope = bundle.adapt(X.numpy(), ["owl", "owl", "lynx", "lynx"])
    assert envelope.classes == ("lynx", "owl")
    save_state(state, tmp_path / "task.state", envelope)
    again = bundle.predict(*load_state(tmp_path / "task.state", bundle.learner.State), X)
    answers = bundle.predict(state, envelope, X)
    assert answers.names == again.names and torch.equal(answers.probabilities, again.probabilities)
    assert len(answers) == 4 and answers.probabilities.shape == (4, 2)
    assert [name for name, _ in answers] == list(answers.names)
    assert all(0.5 <= confidence <= 1 for _, confidence in answers)
    numbered, _ = bundle.adapt(X, [7, 7, 3.5, 3.5])
    assert torch.equal(numbered.sums, state.sums.flip(0)) or torch.equal(numbered.sums, state.sums)


def test_images_of_bytes_are_scaled(tmp_path: Path) -> None:
    bundle = load_bundle(save_bundle(tmp_path / "b", NearestNeighbour(), feature=(1, 2, 2)))
    assert "quickstudy adapt b SUPPORT" in (tmp_path / "b" / "README.md").read_text()
    state, _ = bundle.adapt(torch.full((2, 1, 2, 2), 255, dtype=torch.uint8), ["a", "b"])
    assert torch.equal(state.z, torch.ones(2, 4))


def test_a_fixed_head_answers_fewer_classes_and_refuses_more(tmp_path: Path) -> None:
    bundle = load_bundle(save_bundle(tmp_path / "b", MAML(MLP(2, 3), steps=1), feature=(2,)))
    answers = bundle.predict(*bundle.adapt(X, list("aabb")), X)
    assert answers.probabilities.shape == (4, 2)
    assert torch.allclose(answers.probabilities.sum(1), torch.ones(4))
    with pytest.raises(BadExamples, match="cannot learn from 4 examples of 4 classes"):
        bundle.adapt(X, list("abcd"))


def test_regression(tmp_path: Path) -> None:
    source = Sinusoids(shots=3, queries=2)
    bundle = load_bundle(save_bundle(tmp_path / "b", Pooled(MLP(1, 1), steps=2), source=source))
    assert (bundle.kind, bundle.feature, bundle.recipe["source"]["name"]) == ("regression", (1,), "sinusoids")
    state, envelope = bundle.adapt([[0.0], [1.0]], [1, 2])
    answers = bundle.predict(state, envelope, [[0.5]])
    assert envelope.classes == () and answers.values.shape == (1, 1) and len(list(answers)) == 1
    with pytest.raises(BadExamples, match="numbers"):
        bundle.adapt([[0.0], [1.0]], ["one", "two"])


@pytest.mark.parametrize(
    ("x", "labels", "words"),
    [
        (torch.zeros(2, 3), ["a", "b"], "shaped"),
        (torch.zeros(2, 2), ["a"], "2 rows"),
        (torch.zeros(0, 2), [], "no examples|empty"),
        (torch.full((2, 2), float("nan")), ["a", "b"], "NaN"),
        (torch.zeros(2, 2, dtype=torch.int64), ["a", "b"], "uint8"),
        (torch.zeros(2, 2), ["a", None], "missing"),
        (torch.tensor(1.0), ["a"], "one number"),
    ],
)
def test_wrong_examples(original: Path, x: Tensor, labels: list[Any], words: str) -> None:
    with pytest.raises(BadExamples, match=words):
        load_bundle(original).adapt(x, labels)


def test_wrong_queries_and_states(original: Path, tmp_path: Path) -> None:
    bundle = load_bundle(original)
    state, envelope = bundle.adapt(X, list("aabb"))
    with pytest.raises(BadExamples, match="query"):
        bundle.predict(state, envelope, torch.zeros(2, 3))
    other = load_bundle(save_bundle(tmp_path / "b", Prototypical(MLP(2, 3, hidden=(4,))), feature=(2,)))
    with pytest.raises(BadFile, match="made by the learner"):
        other.predict(state, envelope, X)


class MyNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def test_own_classes_are_never_imported_by_name(tmp_path: Path) -> None:
    learner = Prototypical(MyNet())
    folder = save_bundle(tmp_path / "b", learner, feature=(2,))
    with pytest.raises(UserError, match=r"MyNet, which quickstudy does not know.*encoder=MyNet"):
        load_bundle(folder)
    assert same(load_bundle(folder, encoder=MyNet()).learner, learner)
    with pytest.raises(BadFile, match="do not fit its learner"):
        load_bundle(folder, encoder=MLP(2, 3))


def test_tied_weights(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    folder = save_bundle(tmp_path / "b", Prototypical(net), feature=(2,))
    blank = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    blank[1].weight = blank[0].weight
    assert same(load_bundle(folder, encoder=blank).learner, Prototypical(net))


# Damage.


def opens_as_it_was(folder: Path, whole: Bundle) -> bool:
    """False when the bundle is refused as it should be; any other error fails the test."""
    try:
        found = load_bundle(folder)
    except BadFile as error:
        assert len(str(error)) > 20
        return False
    assert same(found.learner, whole.learner) and found.recipe == whole.recipe and found.result == whole.result
    assert found.about == whole.about
    return True


@pytest.mark.parametrize("name", FILES[:3])
def test_flipped_bytes(name: str, copy: Path, original: Path) -> None:
    content, whole = (original / name).read_bytes(), load_bundle(original)
    step = max(1, len(content) // 60)
    opened = 0
    for at in range(0, len(content), step):
        for bit in (0x01, 0x80):
            changed = bytearray(content)
            changed[at] ^= bit
            (copy / name).write_bytes(changed)
            opened += opens_as_it_was(copy, whole)
    # What changes nothing, such as a blank, may pass; weights never do.
    assert opened <= (0 if name.endswith("safetensors") else len(content) // step // 4)


@pytest.mark.parametrize("name", FILES[:3])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9, 0.995])
def test_truncated(name: str, share: float, copy: Path) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadFile):
        load_bundle(copy)


@pytest.mark.parametrize("name", FILES[:3])
def test_missing_files(name: str, copy: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(BadFile):
        load_bundle(copy)


def test_the_card_is_for_people(copy: Path, original: Path) -> None:
    (copy / "README.md").unlink()
    assert opens_as_it_was(copy, load_bundle(original))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("format = 1", "format = 2", "newer than 1.*update quickstudy"),
        ("format = 1", 'format = "one"', "which format"),
        ("format = 1", "", "which format"),
        ("ways = 2", "ways = 3", "altered"),
        ("squared_euclidean", "cosine_distance", "altered"),
        ("[input]", "[inputs]", "altered"),
        ("[weights]", "[waits]", "not those"),
        ("[weights]", "[[weights]]", "not those"),
        ("sha256 = ", "sha256 = 1 #", "not those"),
    ],
)
def test_altered_recipes(before: str, after: str, words: str, copy: Path) -> None:
    path = copy / "recipe.toml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(BadFile, match=words):
        load_bundle(copy)


def resaved(folder: Path, change: Any) -> None:
    path = folder / "learner.safetensors"
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    tensors = load_file(path)
    change(tensors, facts)
    save_file(tensors, path, metadata=facts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, f: t.pop("encoder.layers.0.bias"), "altered"),
        (lambda t, f: t["encoder.layers.0.bias"].add_(1), "altered"),
        (lambda t, f: t.update({"../../evil": torch.ones(1)}), "altered"),
        (lambda t, f: f.update(format="2"), "newer"),
        (lambda t, f: f.update(format="x"), "format"),
        (lambda t, f: f.update(quickstudy="state"), "not a quickstudy learner"),
        (lambda t, f: f.update(sha256="0" * 64), "altered"),
        (lambda t, f: f.update(seal="0" * 64), "altered"),
        (lambda t, f: f.pop("seal"), "altered"),
    ],
)
def test_altered_weights(change: Any, words: str, copy: Path) -> None:
    resaved(copy, change)
    with pytest.raises(BadFile, match=words):
        load_bundle(copy)


def test_weights_of_another_bundle(copy: Path, tmp_path: Path) -> None:
    other = save_bundle(tmp_path / "b", Prototypical(MLP(2, 3, hidden=(4,))), feature=(2,))
    shutil.copy(other / "learner.safetensors", copy)
    with pytest.raises(BadFile, match="not those"):
        load_bundle(copy)


@pytest.mark.parametrize("path", ["", ".", "no/such", "recipe.toml", "README.md/x", "/dev/null", "ü ö/Ω\n"])
def test_paths_that_are_no_bundles(path: str, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy.parent)
    with pytest.raises(BadFile):
        load_bundle(path if path in ("", ".") else copy / path)


def test_any_name_of_a_folder_will_do(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = load_bundle(original).learner
    for name in ("with blank", "ünïcödé Ω", "a.b.c", ".hidden", "-o"):
        assert same(load_bundle(save_bundle(tmp_path / name, learner, feature=(2,))).learner, learner)
    monkeypatch.chdir(original)
    assert same(load_bundle(".").learner, learner)


# Saving is all or nothing.


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    real, count = os.fsync, iter(range(100))

    def fsync(handle: int) -> None:
        if next(count) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("after", range(4))
def test_full_disk_leaves_the_old_bundle(
    after: int, copy: Path, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch, after)
    with pytest.raises(QuickstudyError, match="No space left"):
        save_bundle(copy, NearestNeighbour(), feature=(2,), results={})
    assert opens_as_it_was(copy, load_bundle(original))
    assert [p.name for p in copy.parent.iterdir()] == ["tiny"]


def test_full_disk_leaves_nothing_where_nothing_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_disk(monkeypatch, 1)
    with pytest.raises(QuickstudyError, match="No space left"):
        save_bundle(tmp_path / "b", NearestNeighbour(), feature=(2,))
    assert list(tmp_path.iterdir()) == []


def test_replacing_keeps_the_files_of_others(copy: Path) -> None:
    (copy / "task.state").write_text("mine")
    save_bundle(copy, NearestNeighbour(), feature=(2,))
    assert isinstance(load_bundle(copy).learner, NearestNeighbour)
    assert (copy / "task.state").read_text() == "mine"
    assert load_bundle(copy).result is None
    assert [p.name for p in copy.parent.iterdir()] == ["tiny"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(UserError, match="something else"):
        save_bundle(tmp_path, NearestNeighbour(), feature=(2,))
    assert (tmp_path / "thesis.tex").exists()


def test_saving_that_was_interrupted_between_renames(copy: Path, original: Path) -> None:
    copy.rename(copy.with_name(".tiny.old"))
    with pytest.raises(BadFile, match="interrupted"):
        load_bundle(copy)
    with pytest.raises(QuickstudyError), pytest.MonkeyPatch.context() as patch:
        full_disk(patch, 0)
        save_bundle(copy, NearestNeighbour(), feature=(2,))
    assert opens_as_it_was(copy, load_bundle(original))


def test_files_are_as_readable_as_any_other(original: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    expected = (tmp_path / "plain").stat().st_mode
    assert {(original / name).stat().st_mode for name in FILES} == {expected}


def test_what_is_judged_is_on_the_card(tmp_path: Path) -> None:
    from quickstudy.evaluation.evaluate import evaluate

    source = Sinusoids(shots=3, queries=2)
    learner = Pooled(MLP(1, 1))
    result = evaluate(learner, source.test, tasks=4)
    folder = save_bundle(tmp_path / "b", learner, source=source, results=result.to_json())
    assert str(result) in (folder / "README.md").read_text()
    assert json.loads((folder / "result.json").read_text())["manifest"] == result.manifest


def test_a_bundle_says_which_inputs_it_takes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="feature"):
        save_bundle(tmp_path / "b", NearestNeighbour())
