"""MobileNetV2: shapes, names and numbers of torchvision's, and the same function when folded."""

from __future__ import annotations

import pytest
import torch

from quickstudy.encoders.trained.mobilenet_v2 import weights_here
from quickstudy.nets.mobilenet_v2 import MobileNetV2, folded
from quickstudy.rng import Rng, forked


def net(**options: int) -> MobileNetV2:
    with forked(Rng(0)):
        return MobileNetV2(**options).eval()


def waves() -> torch.Tensor:
    return torch.sin(torch.arange(2 * 3 * 96 * 128).float() * 0.0137).view(2, 3, 96, 128)


def test_the_published_size_and_names() -> None:
    with torch.device("meta"):
        whole = MobileNetV2(outputs=1000)
    assert sum(p.numel() for p in whole.parameters()) == 3_504_872
    names = list(whole.state_dict())
    assert len(names) == 314
    assert {"features.0.0.weight", "features.1.conv.1.weight", "features.17.conv.3.running_var"} <= set(names)
    assert names[-1] == "classifier.1.bias"


def test_shapes_and_batches() -> None:
    small = net(channels=1, outputs=7)
    x = torch.randn(3, 1, 40, 33, generator=Rng(1).generator())
    with torch.no_grad():
        whole = small(x)
        assert whole.shape == (3, 7)
        torch.testing.assert_close(small(x[:1]), whole[:1], atol=1e-5, rtol=1e-4)
        assert net()(x.expand(3, 3, 40, 33)).shape == (3, net().width)


def test_the_gradient_reaches_every_weight() -> None:
    small = net()
    small(torch.randn(4, 3, 64, 64, generator=Rng(1).generator())).square().sum().backward()
    for name, weight in small.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_folded_it_is_the_same_function_without_batch_norms() -> None:
    small = net()
    with forked(Rng(3)):  # statistics that do something
        for module in small.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(module.running_mean, std=0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    with torch.no_grad():
        before = small(waves())
        torch.testing.assert_close(folded(small)(waves()), before, atol=1e-4, rtol=1e-3)
    assert not [m for m in small.modules() if isinstance(m, torch.nn.BatchNorm2d)]


@pytest.mark.data
def test_with_the_published_weights_it_gives_what_torchvision_gives() -> None:
    path = weights_here()
    if path is None:
        pytest.skip("the weights are not here: QUICKSTUDY_DATA/encoders")
    published = net(outputs=1000)
    published.load_state_dict(torch.load(path, weights_only=True))  # strict: every name and shape
    with torch.no_grad():
        scores = published(waves())
        published.classifier = torch.nn.Identity()
        features = published(waves())
    # Of torchvision 0.29.2's mobilenet_v2 with the same weights and input.
    top, which = scores.topk(3)
    assert which.tolist() == [[905, 904, 789], [905, 789, 799]]
    torch.testing.assert_close(
        top, torch.tensor([[5.9641, 5.0009, 4.3956], [6.0041, 4.9683, 4.7711]]), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(features[0, :4], torch.tensor([0.013793, 0.059288, 1.137016, 0.0]), atol=1e-4, rtol=0)
    assert abs(float(features.sum()) - 387.4149) < 0.01
