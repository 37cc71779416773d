"""Batch norm merged into convolutions: the same answers, and only where it may be."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from quickstudy.functional import merged
from quickstudy.functional.batch_norm import call
from quickstudy.nets.conv1d import Conv1d
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.resnet12 import ResNet12

NETS = {
    "pool": (Conv4(width=4), (1, 28, 28)),
    "stride": (Conv4(width=4, downsample="stride", outputs=3), (1, 28, 28)),
    "resnet": (ResNet12(1, widths=(2, 3, 4, 5)), (1, 16, 16)),
    "series": (Conv1d(2, width=4), (2, 20)),
}


def seen(net: nn.Module) -> nn.Module:
    """The net in float64, its norms with statistics, weights and biases of a net that has been trained."""
    generator = torch.Generator().manual_seed(0)
    for module in net.double().eval().modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.data.uniform_(0.5, 2, generator=generator)
    return net


@pytest.mark.parametrize("name", NETS)
def test_the_answers_are_those_of_the_layers_apart(name: str) -> None:
    net, feature = NETS[name]
    x = torch.linspace(-2, 2, 3 * int(torch.tensor(feature).prod()), dtype=torch.float64).view(3, *feature)
    apart = seen(net)(x)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    with torch.no_grad():
        torch.testing.assert_close(call(net, {}, x, policy="running"), apart, rtol=0, atol=1e-12)
        mapped = torch.vmap(lambda one: call(net, {}, one, policy="running"))(x.unsqueeze(1))
    torch.testing.assert_close(mapped.squeeze(1), apart, rtol=0, atol=1e-12)
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())


def test_merged_norms_are_not_computed_and_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    real = torch.batch_norm
    monkeypatch.setattr(torch, "batch_norm", lambda x, *rest: computed.append(x.shape[1]) or real(x, *rest))
    net, feature = NETS["resnet"]
    x = torch.zeros(1, *feature, dtype=torch.float64)
    with torch.no_grad():
        call(seen(net), {}, x, policy="running")
    assert computed == [2, 3, 4, 5]  # of the shortcuts


@pytest.mark.parametrize("how", ["training", "gradients", "other weights", "other statistics"])
def test_nothing_is_merged_that_must_not_be(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[nn.Module] = []
    monkeypatch.setattr(
        "quickstudy.functional.batch_norm.merging", lambda net: asked.append(net) or merged.merging(net)
    )
    net = seen(Conv4(width=4)).train(how == "training")
    weights: dict[str, Tensor] = {"convs.0.bias": torch.ones(4, dtype=torch.float64)} if how == "other weights" else {}
    with torch.set_grad_enabled(how == "gradients"):
        policy = "batch" if how == "other statistics" else "running"
        call(net, weights, torch.zeros(2, 1, 28, 28, dtype=torch.float64), policy=policy)
    assert not asked
