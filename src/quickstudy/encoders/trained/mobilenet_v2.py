"""Pictures as the features of a network that was trained on ImageNet."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import BadFile, UserError
from ...nets.mobilenet_v2 import MobileNetV2 as Network
from ...nets.mobilenet_v2 import folded
from ...storage import cache_folder
from ...tasks.datasets.download import Progress, Source, download, hash_of
from ...tasks.datasets.named import data_folder
from ..images import Pixels
from ..protocol import BadInputs

WEIGHTS = Source(
    "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
    "sha256:b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    14_212_972,
)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels, which the weights expect
BATCH = 16  # pictures at once: activations of more fall out of the processor's caches


class MobileNetV2:
    """1,280 features of a network that was trained on ImageNet, for photographs and most other pictures.

    Unlike `Pixels` it needs a file of weights (14 MB): it is looked for in QUICKSTUDY_DATA/encoders, then in the cache,
    then fetched from download.pytorch.org; wherever it comes from, its SHA-256 is checked.

    Args:
        size: height and width that a picture is brought to; the weights were trained with 224. Half of it takes a
            quarter of the time, for features that tell less.

    Source: torchvision's weights of Sandler et al. 2018 (arXiv:1801.04381), BSD-3-Clause.
    """

    modality = "image"
    feature = (1280,)

    def __init__(self, *, size: int = 224):
        if size < 32:
            raise UserError(f"MobileNetV2 halves a picture five times, so size must be 32 or more; it is {size}.")
        self.size = size
        self.identity = f"mobilenet-v2 1 size={size} {WEIGHTS.hash}"

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """(n, 1280) float32, of files or arrays as `Pixels` takes them.

        Raises:
            BadInputs: pictures that cannot be read.
            MissingData: the weights are not here and cannot be fetched.
        """
        return seen_by(self._network, Pixels(self.size), inputs, MEAN, DEVIATION)

    @functools.cached_property
    def _network(self) -> nn.Module:
        network = Network(outputs=1000)
        network.load_state_dict(torch.load(weights(), weights_only=True))
        network.classifier = nn.Identity()
        # 1.3 to 2 times as fast as with its batch norms, measured on one core.
        return folded(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def weights_here() -> Path | None:
    """MobileNetV2's file of weights where it is on this machine: the user's own, or the cache's.

    Raises:
        BadFile: a file in QUICKSTUDY_DATA that is not the published one.
    """
    own, fetched = data_folder(), cache_folder() / "encoders" / WEIGHTS.file
    if own is not None and (mine := own / "encoders" / WEIGHTS.file).is_file():
        if (found := hash_of(mine)) != WEIGHTS.hash:
            raise BadFile(f"{mine} is not the published file: {found} in place of {WEIGHTS.hash}. Delete it.")
        return mine
    return fetched if fetched.is_file() and hash_of(fetched) == WEIGHTS.hash else None


def weights(progress: Progress | None = None) -> Path:
    """MobileNetV2's file of weights, fetched where it is not here.

    Raises:
        BadFile: a file in QUICKSTUDY_DATA that is not the published one.
        MissingData: it cannot be fetched.
    """
    return weights_here() or download(WEIGHTS, cache_folder() / "encoders", progress=progress)


def seen_by(
    network: nn.Module, pixels: Pixels, inputs: Sequence[Any], mean: Sequence[float], deviation: Sequence[float]
) -> Tensor:
    """What a network makes of pictures, a few at a time."""
    shape = (pixels.channels, 1, 1)
    middle, spread = torch.tensor(mean).view(shape), torch.tensor(deviation).view(shape)
    made, problems = [], {}
    for start in range(0, len(inputs), BATCH):
        rows = range(start, min(start + BATCH, len(inputs)))
        try:
            x = pixels([inputs[row] for row in rows])
        except BadInputs as error:
            problems.update(error.moved(rows).problems)
            remedy = error.remedy
            continue
        with torch.no_grad():
            made.append(network((x.contiguous(memory_format=torch.channels_last).float() / 255 - middle) / spread))
    if problems:
        raise BadInputs(problems, remedy)
    return torch.cat(made)
