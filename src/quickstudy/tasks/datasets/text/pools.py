"""Texts of many classes: intents (CLINC150, BANKING77) and topics of headlines (HuffPost).

Each is a function of `encode`, which makes tensors of texts, once for all of them: a function, or one of the library's
encoders with its cache, `functools.partial(encoded, HashedNGrams())`. What comes back is a pool for `Episodes`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ....errors import BadFile, UnknownName
from ...pool import SPLITS, Pool
from ..brought import brought, read_columns
from ..named import class_lists

Encode = Callable[[list[str]], Tensor]  # n texts -> (n, *feature)

# In the order of the alphabet, so that nobody chose: 75, 30 and 45 intents.
CLINC_DOMAINS = {
    "train": ("auto_and_commute", "banking", "credit_cards", "home", "kitchen_and_dining"),
    "validation": ("meta", "small_talk"),
    "test": ("travel", "utility", "work"),
}
# The numbers of the few-shot file, which follow the size of the topics in Misra's collection, largest first.
TOPICS = (
    *("politics", "wellness", "entertainment", "travel", "style & beauty", "parenting", "healthy living"),
    *("queer voices", "food & drink", "business", "comedy", "sports", "black voices", "home & living", "parents"),
    *("the worldpost", "weddings", "women", "impact", "divorce", "crime", "media", "weird news", "green", "worldpost"),
    *("religion", "style", "science", "world news", "taste", "tech", "money", "arts", "fifty", "good news"),
    *("arts & culture", "environment", "college", "latino voices", "culture & arts", "education"),
)


def clinc150(encode: Encode, *, partition: Literal["intents", "domains"] = "intents") -> Pool:
    """CLINC150 (Larson et al. 2019, arXiv:1909.02027): 150 intents of 10 domains, 150 requests each.

    Requests that are out of scope of all intents are left out.

    Args:
        encode: texts -> (n, *feature).
        partition: 'intents' is published, the first of the five of Dopierre et al. 2021 (arXiv:2105.12995): 50 intents
            each, where training and test share all domains. 'domains' keeps whole domains apart: 75, 30 and 45.

    Raises:
        MissingData: it is not on this machine.
        UnknownName: no such partition.

    >>> clinc150(lambda texts: torch.zeros(len(texts), 384)).x.shape  # doctest: +SKIP
    torch.Size([22500, 384])
    """
    if partition not in ("intents", "domains"):
        raise UnknownName.among("partition of clinc150", partition, ("intents", "domains"))
    paths = brought("clinc150")
    if paths[0].suffix == ".parquet":
        texts, intents, domains = read_columns(paths[0], "text", "intent", "domain").values()
        home = dict(zip(intents, domains, strict=True))
        rows = list(zip(texts, intents, strict=True))
    else:
        parts, lists = (_json(path) for path in paths)
        home = {intent: domain for domain, known in lists.items() for intent in known}
        rows = [(text, intent) for part in parts.values() for text, intent in part]
    rows = [row for row in rows if row[1] != "oos"]
    if partition == "intents":
        return _pool("clinc150", rows, encode, _sides(class_lists("intents.json")["clinc150"]), home)
    domain_side = _sides(CLINC_DOMAINS)
    side = {intent: domain_side[domain] for intent, domain in home.items() if domain in domain_side}
    return _pool("clinc150-domains", rows, encode, side, home)


def banking77(encode: Encode) -> Pool:
    """BANKING77 (Casanueva et al. 2020, arXiv:2003.04807): 77 intents of customers of a bank, 75 to 227 questions each.

    The partition is the first of the five of Dopierre et al. 2021 (arXiv:2105.12995): 25, 25 and 27 intents.

    Args:
        encode: texts -> (n, *feature).

    Raises:
        MissingData: it is not on this machine.

    >>> banking77(lambda texts: torch.zeros(len(texts), 384)).x.shape  # doctest: +SKIP
    torch.Size([13083, 384])
    """
    paths = brought("banking77")
    if paths[0].suffix == ".parquet":
        rows = list(zip(*read_columns(paths[0], "text", "intent").values(), strict=True))
    else:
        rows = [row for path in paths for row in _csv(path, "text", "category")]
    return _pool("banking77", rows, encode, _sides(class_lists("intents.json")["banking77"]))


def huffpost(encode: Encode) -> Pool:
    """Headlines of 41 topics, 900 each (Misra 2018), in the partition of Bao et al. 2020 (arXiv:1908.06039): 20, 5, 16.

    Args:
        encode: texts -> (n, *feature).

    Raises:
        MissingData: it is not on this machine.
        BadFile: a topic is not one of the 41.

    >>> huffpost(lambda texts: torch.zeros(len(texts), 384)).x.shape  # doctest: +SKIP
    torch.Size([36900, 384])
    """
    (path,) = brought("huffpost")
    texts, labels = read_columns(path, "text", "label").values()
    if odd := set(labels) - set(range(len(TOPICS))):
        raise BadFile(f"{path} has a topic {min(odd)}, but HuffPost's are 0..{len(TOPICS) - 1}.")
    side = {topic: SPLITS[(i >= 20) + (i >= 25)] for i, topic in enumerate(TOPICS)}
    return _pool("huffpost", [(text, TOPICS[label]) for text, label in zip(texts, labels, strict=True)], encode, side)


def _pool(
    name: str,
    rows: list[tuple[str, str]],
    encode: Encode,
    side: Mapping[str, str],
    groups: Mapping[str, str] | None = None,
) -> Pool:
    """A pool of (text, class), class by class, whose classes are described by their names in plain words."""
    rows = sorted(rows, key=lambda row: row[::-1])  # the same episodes, whichever form of the files there is
    classes = sorted({label for _, label in rows})
    if homeless := [c for c in classes if c not in side]:
        raise BadFile(f"{name} has no class '{homeless[0]}', but its file does ({len(homeless)} such classes).")
    number = {c: i for i, c in enumerate(classes)}
    words = [c.replace("_", " ").strip("?").lower() for c in classes]
    return Pool(
        name,
        encode([text for text, _ in rows]),
        torch.tensor([number[label] for _, label in rows]),
        tuple(classes),
        tuple(classes if groups is None else (groups[c] for c in classes)),
        tuple(side[c] for c in classes),
        descriptions=encode(words),
    )


def _sides(lists: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {name: split for split in SPLITS for name in lists[split]}


def _json(path: Path) -> dict[str, list[Any]]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise BadFile(f"{path} cannot be read as a JSON object ({error}); bring it anew.") from error


def _csv(path: Path, *names: str) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if lacking := [name for name in names if name not in (rows.fieldnames or ())]:
            raise BadFile(f"{path} has no column '{lacking[0]}', but {', '.join(rows.fieldnames or ())}.")
        return [tuple(row[name] for name in names) for row in rows]
