"""A little Omniglot in its official format: two archives of PNG files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# The second is written first: the order in an archive must not matter.
LITTLE = {
    "images_background": ("Greek/character08", "Greek/character01", "Greek/character02"),
    "images_evaluation": ("Gurmukhi/character40", "Gurmukhi/character41", "Gurmukhi/character42"),
}


def png(ink: np.ndarray) -> bytes:
    """A drawing as its authors stored it: one bit a pixel, the ink black."""
    content = io.BytesIO()
    Image.fromarray(ink == 0).save(content, "PNG")
    return content.getvalue()


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


@pytest.fixture(scope="session")
def drawings() -> dict[str, np.ndarray]:
    """Class name -> (20, 105, 105) of 0 and 1, by drawer."""
    rng = np.random.default_rng(0)
    names = [name for side in LITTLE.values() for name in side]
    return {name: (rng.random((20, 105, 105)) < 0.1).astype(np.uint8) for name in names}


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory, drawings: dict[str, np.ndarray]) -> list[Path]:
    """The background and the evaluation archive, with things in them that are no drawings."""
    folder, paths = tmp_path_factory.mktemp("official"), []
    for side, names in LITTLE.items():
        entries = {f"{side}/": b"", f"{side}/{names[0]}/.DS_Store": b"?", "__MACOSX/x.png": b"?"}
        for number, name in enumerate(names):
            for drawer in range(20, 0, -1):
                entries[f"{side}/{name}/{700 + number:04d}_{drawer:02d}.png"] = png(drawings[name][drawer - 1])
        paths.append(archive(folder / f"{side}.zip", entries))
    return paths


@pytest.fixture
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data set on this machine: an empty cache folder, and QUICKSTUDY_DATA not set."""
    monkeypatch.delenv("QUICKSTUDY_DATA", raising=False)
    monkeypatch.setenv("QUICKSTUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
