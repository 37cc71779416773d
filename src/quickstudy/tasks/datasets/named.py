"""Data sets known by name: where they are on this machine, and where they come from.

A new one is a row in `CATALOGUE` and a function that turns its official files into ours.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import importlib.resources
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import BadFile, MissingData, UnknownName
from ...storage import cache_folder, write_atomically
from .download import Progress, Source, download, hash_of, read_arrays

RECORD = "fetched.json"  # what `fetch` leaves beside the files: their hashes, and what they were made from


@dataclasses.dataclass(frozen=True)
class Named:
    """A data set that has a name.

    Args:
        name: of the data set and of its folder.
        what: one line for people.
        licence: as its authors state it.
        citation: what to cite.
        sources: the official files.
        convert: 'module:function' beside this file: (paths of the sources, progress) -> {file: content}.
        content: each file that is read here, with the name and SHA-256 of its main array, to know a copy by that
            `fetch` did not make; or '' and 'md5:...' of the whole file, where it is an official one.
    """

    name: str
    what: str
    licence: str
    citation: str
    sources: tuple[Source, ...]
    convert: str
    content: Mapping[str, tuple[str, str]]

    @property
    def files(self) -> tuple[str, ...]:
        """What it is read from here."""
        return tuple(self.content)

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(source.size for source in self.sources)


OMNIGLOT = Named(
    name="omniglot",
    what="1,623 handwritten characters of 50 alphabets, 20 people each (images, 28 and 105 pixels)",
    licence="MIT",
    citation="Lake, Salakhutdinov and Tenenbaum 2015, Science 350 (doi:10.1126/science.aab3050)",
    # Hashes and sizes as in tensorflow/datasets' url_checksums/omniglot.txt; torchvision lists the MD5s
    # 68d2efa1b9178cc56df9314c21c6e718 and 6b91aef0f799c5bb55b94e3f2daec811 of the same addresses.
    sources=(
        Source(
            "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_background.zip",
            "sha256:ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
            9_464_212,
        ),
        Source(
            "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_evaluation.zip",
            "sha256:1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
            6_462_886,
        ),
    ),
    convert="omniglot:convert",
    content={
        "omniglot28.npz": ("images", "d76a1451bb8709f84cd8678e2c1e218339e26c1e23790e402fb39f8144e9a3db"),
        "omniglot105_bits.npz": ("images_packed", "75a36f7ce605ee617d0c45021613841aec979e079f71594e885aba52a7c003ce"),
    },
)

CIFAR_100 = Named(
    name="cifar-100",
    what="60,000 photographs of 100 classes in 20 superclasses (32 pixels); for cifar-fs and fc100",
    licence="none stated; its author asks to be cited",
    citation="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
    # Hash and size as in tensorflow/datasets' url_checksums/cifar100.txt; elsewhere the MD5 of the same address is
    # 03b5dce01913d631647c71ecec9e9cb8.
    sources=(
        Source(
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            168_513_733,
        ),
    ),
    convert="cifar_fs:convert",
    # As in github.com/rai-project/dldataset, which checks them after that same archive.
    content={
        "train.bin": ("", "md5:6172c7755cfe09b2fe270c85cebc1b15"),
        "test.bin": ("", "md5:4499cfba6c016c1be1438163640a0898"),
    },
)

CATALOGUE: dict[str, Named] = {row.name: row for row in (OMNIGLOT, CIFAR_100)}


@dataclasses.dataclass(frozen=True)
class Listed:
    """A line of `quickstudy data`.

    Args:
        found: the folder that holds it, None if it is not on this machine.
        size: bytes that it takes there, or bytes to download.
    """

    name: str
    what: str
    licence: str
    found: Path | None
    size: int


def data_folder() -> Path | None:
    """The folder of the user's own data sets, which QUICKSTUDY_DATA names; None if it does not."""
    named = os.environ.get("QUICKSTUDY_DATA")
    return Path(named).expanduser().absolute() if named else None


def catalogue() -> list[Listed]:
    """Every data set that has a name, and whether it is on this machine.

    >>> [line.name for line in catalogue()]
    ['omniglot', 'cifar-100']
    """
    lines = []
    for row in CATALOGUE.values():
        folder = _holding(row.name, row.files)
        size = row.size if folder is None else sum((folder / file).stat().st_size for file in row.files)
        lines.append(Listed(row.name, row.what, row.licence, folder, size))
    return lines


def find(name: str, file: str) -> Path:
    """One file of a data set: in the user's own folder, else among what was fetched.

    Raises:
        UnknownName: no data set has this name.
        MissingData: the file is at neither place; the message says what to run or set.
    """
    row = _row(name)
    folder = _holding(name, (file,))
    if folder is None:
        raise _missing(row, file)
    return folder / file


def fetch(name: str, *, again: bool = False, progress: Progress | None = None) -> Path:
    """Download a data set from its official address, check it, convert it; the folder where it now is.

    Does nothing where all its files are on this machine already, unless `again`. Official files that lie in the folder
    `downloads` of the place it goes to are used instead of the network.

    Raises:
        UnknownName: no data set has this name.
        MissingData: an official address cannot be reached.
        BadFile: what came is not what was published, or cannot be converted.
        QuickstudyError: the cache folder cannot be written to.
    """
    row = _row(name)
    held = _holding(name, row.files)
    if held is not None and not again:
        return held
    folder = _cached(name)
    archives = [download(source, folder / "downloads", progress=progress) for source in row.sources]
    module, function = row.convert.split(":")
    contents = getattr(importlib.import_module(f".{module}", __package__), function)(archives, progress)
    made = {}
    for file, content in contents.items():
        write_atomically(folder / file, content)
        made[file] = f"sha256:{hashlib.sha256(content).hexdigest()}"
    record = {"made": made, "from": {source.url: source.hash for source in row.sources}}
    write_atomically(folder / RECORD, json.dumps(record, indent=1).encode())
    return folder


def verify(name: str) -> Path:
    """Check that a data set is whole; the folder that holds it.

    What `fetch` made is held against the record it left, any other copy against the content known here.

    Raises:
        UnknownName: no data set has this name.
        MissingData: a file of it is not on this machine.
        BadFile: a file is damaged, or is something else; the message has both hashes.
    """
    row = _row(name)
    folder = _holding(name, row.files)
    if folder is None:
        raise _missing(row, next((f for f in row.files if _holding(name, (f,)) is None), row.files[0]))
    record = _record(folder / RECORD)
    for file, (array, known) in row.content.items():
        if record is not None:
            of, found, expected = "it", hash_of(folder / file), record.get(file, "nothing")
        elif not array:
            of, found, expected = "it", hash_of(folder / file, like=known), known
        else:
            content = read_arrays(folder / file, array)[array].tobytes()
            of, found, expected = f"its '{array}'", hashlib.sha256(content).hexdigest(), known
        if found != expected:
            raise BadFile(
                f"{folder / file} is not {name} as it is known here: the hash of {of} is {found}, expected {expected}."
                f" Delete it and run `quickstudy data fetch {name}`."
            )
    return folder


@functools.cache
def class_lists(file: str) -> dict[str, Any]:
    """A published split that comes with the library: which class is on which side.

    >>> {side: len(class_lists("mini_imagenet.json")[side]) for side in ("train", "validation", "test")}
    {'train': 64, 'validation': 16, 'test': 20}
    """
    text = importlib.resources.files(__package__).joinpath("splits", file).read_text(encoding="utf-8")
    return json.loads(text)


def _row(name: str) -> Named:
    if name not in CATALOGUE:
        raise UnknownName.among("data set", name, CATALOGUE)
    return CATALOGUE[name]


def _cached(name: str) -> Path:
    return cache_folder() / "data" / name


def _holding(name: str, files: tuple[str, ...]) -> Path | None:
    own = data_folder()
    folders = [_cached(name)] if own is None else [own / name, _cached(name)]
    return next((folder for folder in folders if all((folder / file).is_file() for file in files)), None)


def _missing(row: Named, file: str) -> MissingData:
    own = data_folder()
    if own is None:
        tried = f"QUICKSTUDY_DATA is not set, and {_cached(row.name)} does not hold it"
    elif not own.is_dir():
        tried = f"QUICKSTUDY_DATA is {own}, which is not a folder, and {_cached(row.name)} does not hold it"
    else:
        tried = f"neither {own / row.name} nor {_cached(row.name)} holds it"
    return MissingData(
        f"The data set '{row.name}' needs {file}: {tried}. Run `quickstudy data fetch {row.name}` ({row.size / 1e6:.0f}"
        f" MB, licence: {row.licence}), or set QUICKSTUDY_DATA to a folder that holds {row.name}/{file}."
    )


def _record(path: Path) -> dict[str, str] | None:
    """What `fetch` wrote down, None where it was not at work."""
    if not path.is_file():
        return None
    try:
        made = json.loads(path.read_bytes())["made"]
        return {str(file): str(found) for file, found in made.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFile(f"{path} is damaged ({error}); delete its folder and fetch again.") from error
