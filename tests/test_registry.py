"""Names build objects, objects tell their names, and wrong tables end in one clear message."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from quickstudy import registry
from quickstudy.arguments import fit
from quickstudy.catalogue import CATALOGUE, SELECTION, Entry
from quickstudy.errors import MissingData, UnknownName, UserError
from quickstudy.functional.distances import cosine_distance, squared_euclidean
from quickstudy.learners.baseline.finetuned import FineTuned
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.tasks.episodes import Episodes

MLP = {"name": "mlp", "inputs": 4, "outputs": 3, "hidden": [5]}

# Options other than the defaults, one None where that is not the default, so that each is seen to survive.
OPTIONS: dict[str, dict[str, Any]] = {
    "prototypical": {"encoder": {"name": "flatten"}, "distance": "cosine_distance"},
    "maml": {"net": MLP, "steps": 2, "lr": 1, "rule": "layer-rates"},
    "fomaml": {"net": MLP, "test_steps": 7},
    "anil": {"net": MLP, "statistics": "batch"},
    "reptile": {"net": MLP, "batch": "none", "test_steps": "none"},
    "meta-sgd": {"net": MLP, "lr": 0.01},
    "lstm-meta-learner": {"net": MLP, "steps": 2},
    "maml++": {"net": MLP, "multi_step_until": 700},
    "imaml": {"net": MLP, "proximal": 2.0},
    "siamese": {"encoder": MLP, "objective": "contrastive", "margin": 2.0},
    "matching": {"encoder": MLP, "scale": 2.0},
    "matching-fce": {"encoder": MLP, "features": 3, "steps": 2},
    "relation": {"encoder": {"name": "conv-maps", "width": 4}, "relation": {"name": "relation-module", "width": 4}},
    "simpleshot": {"encoder": MLP, "features": 3, "centre": False},
    "soft-prototypes": {"encoder": MLP, "steps": 2},
    "proto-maml": {"encoder": MLP, "moves": "head"},
    "generated": {"net": MLP, "reader": {**MLP, "outputs": 6}, "outputs": 3, "width": 6, "steps": 0},
    "tabular": {"hidden": 4},
    "r2d2": {"encoder": MLP, "penalty": 2.0},
    "lr-d2": {"encoder": MLP, "steps": 3},
    "mann": {"encoder": MLP, "width": 3, "outputs": 3, "slots": 8},
    "snail": {"encoder": MLP, "width": 3, "outputs": 3, "length": 4, "attention": [[4, 2]], "filters": 2},
    "meta-networks": {"encoder": MLP, "width": 3, "outputs": 3, "generator": 4},
    "recurrent": {"cell": {"name": "lstm-cell", "inputs": 3, "width": 2}, "inputs": 4, "outputs": 3},
    "cnp": {"inputs": 4, "outputs": 3, "width": 4},
    "attentive": {"inputs": 4, "outputs": 3, "width": 4, "heads": 2, "layers": 0},
    "in-context": {"encoder": MLP, "inputs": 3, "outputs": 3, "width": 4, "heads": 2, "layers": 1},
    "deep-kernel": {"encoder": MLP, "kernel": "linear"},
    "last-layer": {"encoder": MLP, "outputs": 2, "features": 3},
    "ensemble": {"learner": {"name": "maml", "net": MLP}, "members": 2, "kind": "regression"},
    "described": {"encoder": MLP, "strength": 2.0},
    "eszsl": {"encoder": MLP, "width": 3, "attributes": 5, "gamma": 0.5},
    "nearest": {"k": 2, "distance": "squared_euclidean"},
    "linear": {"encoder": {"name": "conv4", "width": 4}, "penalty": 0.5, "normalise": False},
    "scratch": {"net": MLP, "rule": "sgd", "seed": 3},
    "baseline++": {"encoder": MLP, "classes": 7, "scale": 2.0},
    "pooled": {"net": MLP, "steps": 3},
    "trees": {"rounds": 5, "leaf": 1},
    "majority": {},
    "beside": {"first": {"name": "prototypical", "encoder": MLP}, "second": {"name": "linear", "penalty": 2.0}},
    "standardised": {"learner": {"name": "fomaml", "net": MLP}, "outputs": 3},
    "conv4": {"size": 16, "width": 4, "downsample": "stride", "outputs": 5},
    "resnet12": {"channels": 1, "widths": [2, 2, 2, 4]},
    "mlp": MLP,
    "adapter": {"inputs": 3, "hidden": 4, "scale": 2.0},
    "conv1d": {"channels": 2, "width": 4, "blocks": 2, "kernel": 3, "outputs": 5},
    "conv-maps": {"width": 4},
    "relation-module": {"width": 4},
    "temporal": {"inputs": 4, "length": 5},
    "lstm-cell": {"inputs": 3, "width": 2},
    "fast-weights-cell": {"inputs": 3, "width": 2, "decay": 0.9},
    "delta-cell": {"inputs": 3, "width": 2, "keys": 4},
    "flatten": {"start_dim": 2},
    "glyphs": {
        "size": 8,
        "drawers": 4,
        "cache": False,
        "ways": [2, 3],
        "shots": 1,
        "queries": 2,
        "seed": 5,
        "distort": 0.5,
    },
    "omniglot": {"rotations": False, "ways": 20},
    "cifar-fs": {"partition": "fc100", "ways": 5},
    "mini-imagenet": {"ways": 5},
    "movielens": {"shots": 4, "split": "test"},
    "fs-mol": {"queries": 3},
    "sinusoids": {"shots": 3, "amplitude": [1, 2], "split": "test"},
    "gp": {"shots": 3},
    "retrieval": {"pairs": 3, "queries": 2},
    **{entry.name: {} for entry in SELECTION},
    "candidate-mixture": {"likeness": 0.5},
    "portfolio": {"per_second": True},
    "safe-transfer": {"trust": 0.5},
    "deep-kernel-surrogate": {"inputs": 3},
    "in-context-surrogate": {"inputs": 3, "layers": 1},
    "anomaly-stack": {"detectors": 3},
}


@functools.cache
def made(name: str) -> Any:
    entry = next(e for e in CATALOGUE if e.name == name)
    table = {**OPTIONS[entry.name], "name": entry.name}
    if entry.kind != "source":
        return registry.build(entry.kind, table)
    try:
        return registry.build_source(table)
    except MissingData as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: f"{e.kind}-{e.name}")
def test_round_trip(entry: Entry) -> None:
    first = made(entry.name)
    table = registry.describe(first)
    assert table["name"] == entry.name
    for key, value in OPTIONS[entry.name].items():
        if not isinstance(value, dict):
            assert table[key] == value, key
    if entry.name in ("glyphs", "omniglot", "fs-mol"):  # making them twice takes seconds, and shows nothing more
        return
    again = registry.build_source(table) if entry.kind == "source" else registry.build(entry.kind, table)
    assert type(again) is type(first)
    assert registry.describe(again) == table
    if isinstance(first, nn.Module):
        shapes = [{n: t.shape for n, t in m.state_dict().items()} for m in (first, again)]
        assert shapes[0] == shapes[1]


def test_every_name_says_what_it_is() -> None:
    assert {e.name for e in CATALOGUE} == set(OPTIONS)
    for entry in CATALOGUE:
        assert entry.line and not entry.line.endswith(".")
        assert not entry.paper or entry.paper.startswith(("arXiv:", "doi:", "openreview:"))


def test_nothing_is_imported_early() -> None:
    code = "import sys, quickstudy.registry as r; r.entries('learner'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_for_functions_presets_and_none() -> None:
    assert (
        registry.build("learner", {"name": "prototypical", "encoder": {"name": "flatten"}}).distance
        is squared_euclidean
    )
    cosine = {"name": "prototypical", "encoder": {"name": "flatten"}, "distance": "cosine_distance"}
    assert registry.build("learner", cosine).distance is cosine_distance
    assert registry.build("learner", {"name": "fomaml", "net": MLP, "gradient": "first-order"}).steps
    assert registry.build("learner", {"name": "reptile", "net": MLP, "batch": "none"}).batch is None
    assert registry.describe(MAML(registry.build("net", MLP), gradient="first-order", moves="head"))["name"] in (
        "fomaml",
        "anil",
    )


def test_seed_of_a_pool_source_is_that_of_its_episodes() -> None:
    source = made("glyphs")
    assert isinstance(source, Episodes)
    assert (source.seed, source.ways, source.pool.x.shape[-1]) == (5, (2, 3), 8)
    assert registry.describe(source.replaced(shots=2).test) | {"name": "glyphs"} == {
        "name": "glyphs", **OPTIONS["glyphs"], "shots": 2, "split": "test",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "table", "words"),
    [
        ("learner", {"name": "mamll"}, ["mamll", "Did you mean 'maml'"]),
        ("lerner", {"name": "maml"}, ["Did you mean 'learner'"]),
        ("learner", {"name": "maml", "net": MLP, "stpes": 3}, ["stpes", "Did you mean 'steps'"]),
        ("learner", {"name": "maml", "net": {**MLP, "hiden": [3]}}, ["hiden", "Did you mean 'hidden'"]),
        ("source", {"name": "sinusoids", "shot": 3}, ["Did you mean 'shots'"]),
        ("source", {"name": "glyphs", "drawer": 3}, ["Did you mean 'drawers'"]),
    ],
)
def test_unknown_names_come_with_the_nearest(kind: str, table: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UnknownName) as caught:
        registry.build_source(table) if kind == "source" else registry.build(kind, table)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"name": "maml", "net": MLP, "steps": "five"}, ["steps = 'five'", "a whole number"]),
        ({"name": "maml", "net": MLP, "steps": 2.5}, ["a whole number"]),
        ({"name": "maml", "net": MLP, "multi_step": 1}, ["true or false"]),
        ({"name": "maml", "net": MLP, "lr": True}, ["a number"]),
        ({"name": "maml", "net": "mlp"}, ["a table with the name of a Module"]),
        ({"name": "maml", "net": {"name": "maml"}}, ["There is no net 'maml'"]),
        ({"name": "maml"}, ["needs net"]),
        ({"name": "maml", "net": {**MLP, "outputs": -1}}, ["'mlp' cannot be made"]),
        ({"name": "maml", "net": {**MLP, "hidden": 3}}, ["a list of a whole number"]),
        ({"name": "fomaml", "net": MLP, "gradient": "exact"}, ["stands for gradient = 'first-order'", "use 'maml'"]),
        ({"name": "prototypical", "encoder": {"name": "flatten"}, "distance": "euclid"}, ["'cosine_distance'"]),
        ({"name": "prototypical", "encoder": {"name": "custom", "class": "os.system"}}, ["os.system", "encoder=..."]),
        ({"name": "custom", "class": "my.Learner"}, ["my.Learner", "learner=..."]),
        ({"name": "prototypical", "encoder": {"name": "conv4", "downsample": "poll"}}, ["one of 'pool', 'stride'"]),
        ({"name": "nearest", "k": 0}, ["k is 0"]),
        ({"net": MLP}, ["needs a name"]),
    ],
)
def test_wrong_tables(table: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        registry.build("learner", table)
    assert all(word in str(caught.value) for word in words), str(caught.value)


class MyNet(nn.Module):
    features = 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def my_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return squared_euclidean(a, b)


def test_custom_parts_are_handed_over() -> None:
    table = registry.describe(Prototypical(MyNet(), distance=my_distance))
    assert table["encoder"] == {"name": "custom", "class": f"{__name__}.MyNet"}
    assert table["distance"]["class"].endswith("my_distance")
    net = MyNet()
    again = registry.build("learner", table, encoder=net, distance=my_distance)
    assert again.encoder is net and again.distance is my_distance
    deep = {"name": "standardised", "learner": {"name": "maml"}}
    assert registry.build("learner", deep, net=nn.Linear(1, 1)).learner.net.in_features == 1
    with pytest.raises(UserError, match=r"encodr=\.\.\. was handed over"):
        registry.build("learner", table, encoder=net, distance=my_distance, encodr=net)
    assert isinstance(registry.build("learner", {"name": "baseline++", "classes": 3}, encoder=net), FineTuned)


def test_fit_tells_types_apart() -> None:
    assert fit([1, 2.5], tuple[float, ...]) == (1.0, 2.5)
    with pytest.raises(TypeError, match="a list of 2"):
        fit([1, 2, 3], tuple[int, int])
    with pytest.raises(TypeError, match="a whole number or a list of 2"):
        fit("x", int | tuple[int, int])
