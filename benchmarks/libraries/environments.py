"""An environment of its own for each library, made when it is first needed.

What the libraries require excludes each other (torchmeta wants a torch below 1.10), so each is installed without its
requirements, and reads one shared torch through a `.pth` file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
DONE = "peer-stamp"  # holds what the environment was made from; an environment without it is made anew


class NotMade(Exception):
    """An environment that could not be made, with the reason."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How an environment is made.

    Args:
        package: the library, pinned; installed without its requirements.
        needs: what it imports beside torch and numpy, installed with requirements.
        torch: whether it reads the shared torch.
        torchvision: whether it imports torchvision, for which a stub stands.
        build: installs the package where pip alone cannot.
    """

    package: str
    needs: tuple[str, ...] = ()
    torch: bool = True
    torchvision: bool = False
    build: Callable[[Path, str], None] | None = None

    @property
    def stamp(self) -> str:
        """Changes when the recipe does."""
        stub = (HERE / "torchvision_stub.py").read_text() if self.torchvision else ""
        text = repr([self.package, self.needs, BASE if self.torch else (), stub])
        return hashlib.sha256(text.encode()).hexdigest()


def _generated_anew(python: Path, package: str) -> None:
    """Install a source archive whose C files are of a Cython too old for this Python: make them again, then build."""
    with tempfile.TemporaryDirectory() as folder:
        _pip(python, "download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "-d", folder, package)
        archive = next(Path(folder).glob("*.tar.gz"))
        shutil.unpack_archive(archive, folder, filter="data")
        source = next(path.parent for path in Path(folder).glob("*/setup.py"))
        for pyx in source.rglob("*.pyx"):
            pyx.with_suffix(".c").unlink(missing_ok=True)
        _run(python, "setup.py", "build_ext", cwd=source)
        _pip(python, "install", "--no-deps", "--no-build-isolation", str(source))


# The torch and numpy that quickstudy itself runs on: libraries are compared, not versions of torch.
BASE = tuple(f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in ("torch", "numpy"))
RECIPES = {
    "learn2learn": Recipe(
        "learn2learn==0.2.0",
        ("setuptools<81", "cython==3.3.1", "wheel", "tqdm", "requests", "pillow", "pandas", "scipy", "gym==0.26.2"),
        torchvision=True,
        build=_generated_anew,
    ),
    "higher": Recipe("higher==0.2.1"),
    "torchopt": Recipe("torchopt==0.7.3", ("optree==0.20.0", "graphviz==0.21")),
    "torchmeta": Recipe("torchmeta==1.8.0", ("ordered-set", "tqdm", "requests", "pillow", "h5py"), torchvision=True),
    "easyfsl": Recipe(
        "easyfsl==1.5.0", ("pandas", "tqdm", "pillow", "pyyaml", "matplotlib", "loguru"), torchvision=True
    ),
    "parallel_metalearn": Recipe("parallel-metalearn==0.5.6", ("tqdm",)),
    "jax_yardstick": Recipe("jax==0.10.2", ("jaxlib==0.10.2", "optax==0.2.8"), torch=False),
}


def python_of(name: str, folder: Path, base: Path | None) -> Path:
    """The interpreter of a library's environment, which is made if it is not there.

    Args:
        folder: where the environments are.
        base: an environment with torch and numpy for all to share; one is made in `folder` when None.

    Raises:
        NotMade: with the last words of what failed.
    """
    recipe, place = RECIPES[name], folder / name
    python = place / "bin" / "python"
    stamp = place / DONE
    if stamp.exists() and stamp.read_text() == recipe.stamp:
        return python
    _make(place)
    site = Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    if recipe.torch:
        packages = _run(_base(folder, base), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (site / "zz_shared_torch.pth").write_text(packages + "\n")
    if recipe.torchvision:
        (site / "torchvision").mkdir()
        shutil.copy(HERE / "torchvision_stub.py", site / "torchvision" / "__init__.py")
    if recipe.needs:
        _pip(python, "install", *recipe.needs)
    if recipe.build is not None:
        recipe.build(python, recipe.package)
    else:
        _pip(python, "install", "--no-deps", recipe.package)
    stamp.write_text(recipe.stamp)
    return python


def _base(folder: Path, base: Path | None) -> Path:
    """The interpreter of the environment whose torch the others read."""
    if base is not None:
        return base / "bin" / "python"
    place, wanted = folder / "base", repr(BASE)
    if not ((place / DONE).exists() and (place / DONE).read_text() == wanted):
        _make(place)
        _pip(place / "bin" / "python", "install", *BASE, "setuptools", "wheel")
        (place / DONE).write_text(wanted)
    return place / "bin" / "python"


def _make(place: Path) -> None:
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    print(f"making {place} ...", flush=True)
    _run(Path(sys.executable), "-m", "venv", str(place))


def _pip(python: Path, command: str, *words: str) -> None:
    _run(python, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *words)


def _run(python: Path, *words: str, cwd: Path | None = None) -> str:
    """What a program prints.

    Raises:
        NotMade: it failed, or is not there.
    """
    try:
        done = subprocess.run([str(python), *words], cwd=cwd, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise NotMade(f"{_shown(words)} failed: {_last_line(error.stderr or error.stdout)}") from error
    except OSError as error:
        raise NotMade(f"{python} cannot be started: {error}") from error
    return done.stdout


def _shown(words: Sequence[str]) -> str:
    return " ".join(words)[:80]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason was given"
