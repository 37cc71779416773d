"""MobileNetV2: a network for photographs that is small enough for a laptop (Sandler et al. 2018, arXiv:1801.04381)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Of each stage: how much a block widens inside, channels that come out, blocks, stride of the first one.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class MobileNetV2(nn.Module):
    """Seventeen inverted residual blocks, averaged over space at the end: 1,280 features.

    Unlike ResNet-12, which is trained from nothing on small images, it is there for weights that somebody has trained:
    the names in its state dict are those of torchvision's file, with `outputs=1000`.

    Args:
        channels: of the image.
        outputs: size of a linear head on the features (dropout of 0.2 before it); None for the features themselves.

    Attributes:
        width: length of an embedding; `features`, as other nets call it, is taken by torchvision's name of the trunk.

    >>> MobileNetV2()(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1280])
    """

    def __init__(self, channels: int = 3, *, outputs: int | None = None):
        super().__init__()
        self.channels, self.outputs, self.width = channels, outputs, 1280
        layers: list[nn.Module] = [_convolution(channels, 32, 3, stride=2)]
        before = 32
        for widening, after, blocks, stride in STAGES:
            for i in range(blocks):
                layers.append(_Block(before, after, stride if i == 0 else 1, widening))
                before = after
        self.features = nn.Sequential(*layers, _convolution(before, self.width, 1))
        self.classifier: nn.Module = nn.Identity()
        if outputs is not None:
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(self.width, outputs))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        # On a CPU convolutions run up to twice as fast when the channels of a pixel lie side by side in memory.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n outputs"]:
        return self.classifier(self.features(x).mean((2, 3)))


class _Block(nn.Module):
    """Widen, filter each channel by itself, narrow again without a nonlinearity; added to the input where it fits."""

    def __init__(self, before: int, after: int, stride: int, widening: int):
        super().__init__()
        inside = before * widening
        widen = [] if widening == 1 else [_convolution(before, inside, 1)]
        each = _convolution(inside, inside, 3, stride=stride, groups=inside)
        self.conv = nn.Sequential(*widen, each, nn.Conv2d(inside, after, 1, bias=False), nn.BatchNorm2d(after))
        self.adds = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


def _convolution(before: int, after: int, size: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU6(inplace=True))


def folded(net: MobileNetV2) -> MobileNetV2:
    """The same function with each batch norm made part of the convolution before it, in place; for inference only.

    >>> net = MobileNetV2().eval()
    >>> x = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    >>> before = net(x)
    >>> torch.allclose(folded(net)(x), before, atol=1e-4)
    True
    """
    net.eval()
    for sequence in [m for m in net.modules() if isinstance(m, nn.Sequential)]:
        for i in range(len(sequence) - 1):
            conv, norm = sequence[i], sequence[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[i], sequence[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return net
