"""CIFAR-FS (Bertinetto et al. 2019, arXiv:1805.08136) and FC100 (Oreshkin et al. 2018, arXiv:1805.10123)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ...errors import BadFile, UnknownName
from ..pool import SPLITS, Pool
from .download import Progress, read_archive
from .named import class_lists, find

SIDE = 32  # pixels of a side
RECORD = 2 + 3 * SIDE * SIDE  # bytes of an image: superclass, class, then its red, green and blue planes
FILES = ("train.bin", "test.bin")  # of CIFAR-100, whose own split runs through every class
PARTITIONS = ("cifar-fs", "fc100")


def cifar_fs(partition: Literal["cifar-fs", "fc100"] = "cifar-fs") -> Pool:
    """The 100 classes of CIFAR-100 split by class: 600 photographs of each, 32 x 32 pixels; groups are superclasses.

    Unlike `mini_imagenet` it can be fetched (169 MB) and is small enough for a processor.

    Args:
        partition: 'cifar-fs' is the one of Bertinetto et al.: 64, 16 and 20 classes, dealt without regard to the
            superclasses, so that most of these stand on several sides (wolf trains, leopard tests); an audit will say
            so. 'fc100' shares none: 60, 20 and 20 classes of 12, 4 and 4 superclasses, and is harder.

    Returns:
        x (60000, 3, 32, 32) uint8, with the name of the partition.

    Raises:
        MissingData: it is not on this machine; the message says how to get it.
        BadFile: a file is damaged, or is not CIFAR-100.
        UnknownName: no such partition.

    Source: cs.toronto.edu/~kriz/cifar.html; the class lists as in github.com/tristandeleu/pytorch-meta (MIT).

    >>> cifar_fs().x.shape  # doctest: +SKIP
    torch.Size([60000, 3, 32, 32])
    """
    if partition not in PARTITIONS:
        raise UnknownName.among("partition of CIFAR-100", partition, PARTITIONS)
    lists = class_lists("cifar100.json")
    home = {name: superclass for superclass, names in lists["superclasses"].items() for name in names}
    side = {name: split for split in SPLITS for name in lists[partition][split]}
    classes = tuple(sorted(home))  # a label is the place of a name in the alphabet, among superclasses too
    records = np.concatenate([_records(find("cifar-100", file), classes, home) for file in FILES])
    lacking = set(range(len(classes))) - set(np.unique(records[:, 1]).tolist())
    if lacking:
        raise BadFile(
            f"{find('cifar-100', FILES[0])} and {FILES[1]} hold no image of '{classes[min(lacking)]}'"
            f" ({len(lacking)} of {len(classes)} classes are missing); delete them and fetch cifar-100 again."
        )
    return Pool(
        name=partition,
        x=torch.from_numpy(records[:, 2:].reshape(-1, 3, SIDE, SIDE)),
        y=torch.from_numpy(records[:, 1].astype(np.int64)),
        classes=classes,
        groups=tuple(home[name] for name in classes),
        split=tuple(side[name if partition == "cifar-fs" else home[name]] for name in classes),
    )


def convert(archives: Sequence[Path], progress: Progress | None = None) -> dict[str, bytes]:
    """The two files of the official archive that are read here, as they are: they can be read without unpickling.

    Raises:
        BadFile: the archive is damaged, or lacks one of them.
    """
    del progress  # seconds
    found = {name.rpartition("/")[2]: content for archive in archives for name, content in read_archive(archive)}
    lacking = [file for file in FILES if file not in found]
    if lacking:
        raise BadFile(f"{archives[0]} holds no {lacking[0]}, and is not the binary version of CIFAR-100.")
    return {file: found[file] for file in FILES}


def _records(path: Path, classes: tuple[str, ...], home: dict[str, str]) -> np.ndarray:
    """(n, RECORD) of one file, whose labels agree with each other."""
    content = np.fromfile(path, dtype=np.uint8)
    if not len(content) or len(content) % RECORD:
        raise BadFile(
            f"{path} has {len(content):,} bytes, which are no whole number of images of {RECORD:,}; delete it and fetch"
            " cifar-100 again."
        )
    records = content.reshape(-1, RECORD)
    groups = sorted(set(home.values()))
    expected = np.array([groups.index(home[name]) for name in classes])
    # A superclass is told twice, by itself and by the class: files of another format do not agree with themselves.
    wrong = (records[:, 1] >= len(classes)) | (expected[records[:, 1] % len(classes)] != records[:, 0])
    if wrong.any():
        row = int(wrong.argmax())
        raise BadFile(
            f"{path} is not CIFAR-100: its image {row} has the class {records[row, 1]} and the superclass"
            f" {records[row, 0]}, which do not go together. Delete it and fetch cifar-100 again."
        )
    return records
