"""The embedded data set: characters of many scripts from matplotlib's fonts, drawn as if by many hands."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import io
import unicodedata
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFont, features
from torch import Tensor

from ...errors import BadExamples, MissingData, QuickstudyError
from ...storage import cache_folder, write_atomically
from ..pool import SPLITS, Pool
from . import lookalikes
from .distortions import NUMBERS, Shapes, draw, grainy

VERSION = 3  # raise it with any change that moves a pixel: it is part of the cache file's name

# First words of a character's Unicode name (which never change) -> script and side, the sides in the order in which
# look-alikes are kept. Latin, Greek, Cyrillic and Coptic share so many shapes that they can only stand together;
# Canadian and Arabic letters are many and close relatives, which is training matter. Kept aside are scripts that look
# like little else, each time one with upper and lower case and some without. Lisu is turned Latin, and left out.
SCRIPTS = {
    "LATIN": ("Latin", "train"),
    "DIGIT": ("Latin", "train"),
    "GREEK": ("Greek", "train"),
    "CYRILLIC": ("Cyrillic", "train"),
    "COPTIC": ("Coptic", "train"),
    "ARABIC": ("Arabic", "train"),
    "ARABIC-INDIC": ("Arabic", "train"),
    "EXTENDED ARABIC-INDIC": ("Arabic", "train"),
    "CANADIAN": ("Canadian", "train"),
    "ARMENIAN": ("Armenian", "validation"),
    "LAO": ("Lao", "validation"),
    "NKO": ("NKo", "validation"),
    "HEBREW": ("Hebrew", "validation"),
    "OGHAM": ("Ogham", "validation"),
    "GEORGIAN": ("Georgian", "test"),
    "TIFINAGH": ("Tifinagh", "test"),
    "OLD ITALIC": ("Old Italic", "test"),
}

# The first decides which characters there are. No italics: there the Cyrillic т has the shape of m, and slant comes
# with the distortions anyway.
FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold")

POINTS = 128  # size that letters are taken from the font at
CANVAS = 64  # pixels of a side of the shapes that are distorted
BATCH = 64  # classes drawn at once: about 200 MB for 20 drawers of 28 x 28


def glyphs(*, size: int = 28, drawers: int = 20, seed: int = 0, described: bool = False, cache: bool = True) -> Pool:
    """Some 1,100 characters of 14 scripts, each drawn `drawers` times; whole scripts are kept aside.

    Unlike Omniglot it needs no download, has printed shapes as descriptions (`printed_shapes`), and no two classes look
    alike: of characters with one outline (o, O, ο, о; see `lookalikes`) only the first is kept, training scripts
    before validation before test, so that none is a riddle and none is met again on another side.

    Args:
        size: pixels of a side.
        drawers: pictures of a class; each has a face of the font and distortions of its own.
        seed: of the distortions; the classes and their sides do not depend on it.
        described: give each class its printed, undistorted shape (1, size, size) as a description.
        cache: keep the pictures in `cache_folder()`. A folder that cannot be written to is done without.

    Returns:
        A pool with x (C * drawers, 1, size, size) uint8, ink is 255; classes like 'Armenian/U+0531', grouped by script.

    Raises:
        BadExamples: size, drawers or seed too small.
        MissingData: matplotlib's fonts are not on this machine.

    >>> pool = glyphs(drawers=1, cache=False)
    >>> pool.x.shape[1:], pool.x.dtype, pool.classes[0], sorted(set(pool.groups))[:3]
    (torch.Size([1, 28, 28]), torch.uint8, 'Latin/U+0030', ['Arabic', 'Armenian', 'Canadian'])
    """
    if size < 8 or drawers < 1 or seed < 0:
        raise BadExamples(f"Glyphs need size >= 8, drawers >= 1 and seed >= 0; got {size}, {drawers} and {seed}.")
    path = _cache_file(size, drawers, seed) if cache else None
    codes, pictures = (path and _stored(path, size, drawers)) or _made(path, size, drawers, seed)
    homes = [home for code in codes if (home := _home(code))]
    return Pool(
        name="glyphs",
        x=pictures[:, None],
        y=torch.arange(len(codes)).repeat_interleave(drawers),
        classes=tuple(f"{script}/U+{code:04X}" for (script, _), code in zip(homes, codes, strict=True)),
        groups=tuple(script for script, _ in homes),
        split=tuple(side for _, side in homes),
        descriptions=printed_shapes(size)[:, None] if described else None,
    )


def printed_shapes(size: int = 28) -> Tensor:
    """The undistorted shape of each class of `glyphs`, in the order of its classes: (C, size, size) uint8.

    Raises:
        MissingData: matplotlib's fonts are not on this machine.

    >>> printed_shapes(12).shape[1:]
    torch.Size([12, 12])
    """
    face = _Face(FACES[0])
    shapes = Shapes.of([ink for code in _characters() if (ink := face.ink(code))], CANVAS)
    plain = torch.full((len(shapes.pen), NUMBERS), 0.5)
    return grainy(draw(shapes, plain, size), plain, torch.zeros(len(plain), size, size))


def _home(code: int) -> tuple[str, str] | None:
    """The script and side of a letter or digit; None if it is neither, is composed (é), or of no script of ours."""
    letter = chr(code)
    if unicodedata.category(letter) not in ("Lu", "Ll", "Lo", "Nd") or unicodedata.decomposition(letter):
        return None
    words = unicodedata.name(letter).split()
    if "FRAGMENT" in words:  # the tail of an Arabic letter, for fonts of the 1980s
        return None
    return SCRIPTS.get(words[0]) or SCRIPTS.get(" ".join(words[:2]))


def _font_file(face: str) -> Path:
    # Found without importing matplotlib, which takes longer than drawing a task.
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("matplotlib")
    path = folder / "mpl-data" / "fonts" / "ttf" / f"{face}.ttf"
    if not path.is_file():
        raise MissingData(
            f"The glyphs are drawn with the fonts that matplotlib brings, but {path} does not exist."
            " Install it again: pip install --force-reinstall matplotlib."
        )
    return path


class _Face:
    """One font file, from which letters are taken as pictures cut to their ink."""

    def __init__(self, name: str) -> None:
        # The basic layout gives each letter alone and is the same whether or not this Pillow has raqm.
        self.font = ImageFont.truetype(_font_file(name), POINTS, layout_engine=ImageFont.Layout.BASIC)
        self.absent = self._mask("\uffff")

    def _mask(self, letter: str) -> Image.Image:
        mask = self.font.getmask(letter, mode="L")
        return Image.frombytes("L", mask.size, bytes(mask))

    def ink(self, code: int) -> Image.Image | None:
        """The letter, or None where the font lacks it: a font shows one and the same box for all that it lacks."""
        picture = self._mask(chr(code))
        box = picture.getbbox()
        return None if box is None or picture == self.absent else picture.crop(box)


@functools.lru_cache(maxsize=1)
def _characters() -> tuple[int, ...]:
    """The code of every class: what the first face holds, without those that look like an earlier one."""
    homes = list(SCRIPTS.values())
    found = [(homes.index(home), code) for code in range(0x11000) if (home := _home(code))]
    face = _Face(FACES[0])
    inked = [(SPLITS.index(homes[at][1]), code, ink) for at, code in sorted(found) if (ink := face.ink(code))]
    boxes, aspects = zip(*(lookalikes.boxed(ink) for _, _, ink in inked), strict=True)
    kept = lookalikes.distinct(np.stack(boxes), np.array(aspects), np.array([side for side, _, _ in inked]))
    return tuple(code for (_, code, _), keep in zip(inked, kept, strict=True) if keep)


def _drawn(codes: tuple[int, ...], size: int, drawers: int, seed: int) -> Tensor:
    """(C * drawers, size, size) uint8. Each class has a random stream of its own, so none depends on another."""
    faces = [_Face(name) for name in FACES]
    pictures = []
    for start in range(0, len(codes), BATCH):
        inks: list[Image.Image] = []
        chosen, numbers, grain = [], [], []
        for code in codes[start : start + BATCH]:
            held = [ink for face in faces if (ink := face.ink(code))]
            rng = np.random.default_rng([seed, code])
            chosen.append(len(inks) + rng.integers(len(held), size=drawers))
            numbers.append(rng.random((drawers, NUMBERS), np.float32))
            grain.append(rng.standard_normal((drawers, size, size), np.float32))
            inks += held
        which, n, g = (torch.from_numpy(np.concatenate(part)) for part in (chosen, numbers, grain))
        pictures.append(grainy(draw(Shapes.of(inks, CANVAS)[which], n, size), n, g))
    return torch.cat(pictures)


def _cache_file(size: int, drawers: int, seed: int) -> Path | None:
    """Where these pictures are kept, or None if there is no home; the name changes with all that moves a pixel."""
    fonts = [hashlib.sha256(_font_file(face).read_bytes()).hexdigest() for face in FACES]
    drawn_by = [VERSION, features.version("pil"), features.version("freetype2"), np.__version__, torch.__version__]
    key = repr((size, drawers, seed, fonts, drawn_by, unicodedata.unidata_version, sorted(SCRIPTS.items())))
    try:
        return cache_folder() / f"glyphs-{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz"
    except RuntimeError:
        return None


def _stored(path: Path, size: int, drawers: int) -> tuple[tuple[int, ...], Tensor] | None:
    """What an earlier call kept, or None if that is not there, cannot be read, or is not whole."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # zip has a checksum of each member
            codes, pictures = file["codes"], file["pictures"]
    except Exception:  # a broken file has a dozen errors in NumPy and zipfile, with one remedy: draw anew
        return None
    if pictures.shape != (len(codes) * drawers, size, size) or pictures.dtype != np.uint8:
        return None
    return tuple(codes.tolist()), torch.from_numpy(pictures)


def _made(path: Path | None, size: int, drawers: int, seed: int) -> tuple[tuple[int, ...], Tensor]:
    """The codes and pictures, drawn, and kept at `path` if there is one."""
    codes = _characters()
    pictures = _drawn(codes, size, drawers, seed)
    if path:
        content = io.BytesIO()
        np.savez(content, codes=np.array(codes), pictures=pictures.numpy())
        # A folder that cannot be written to costs time at the next call, and nothing else.
        with contextlib.suppress(OSError, QuickstudyError):
            write_atomically(path, content.getvalue())
    return codes, pictures
