"""Data sets that are not fetched here: a user brings their files into the folder that QUICKSTUDY_DATA names.

A new one is a row in `BROUGHT` and a function that reads its files.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

from ...errors import BadFile, MissingData, UnknownName
from .named import Listed, data_folder


@dataclasses.dataclass(frozen=True)
class Brought:
    """A data set that is known by name, and not fetched.

    Args:
        name: of the data set.
        what: one line for people.
        licence: as its authors state it.
        how: where to take it from, and how its files are made of that.
        forms: the paths of its files below the folder of data sets; one tuple for each form that it may come in.
    """

    name: str
    what: str
    licence: str
    how: str
    forms: tuple[tuple[str, ...], ...]

    def held(self) -> tuple[Path, ...] | None:
        """Its files in the first form that is there whole, None where there is no such form."""
        own = data_folder()
        forms = [] if own is None else [tuple(own / file for file in form) for form in self.forms]
        return next((paths for paths in forms if all(path.is_file() for path in paths)), None)


ROWS = (
    Brought(
        "arsc",
        "98,328 reviews of 25 kinds of product, positive from 2, 4 or 5 stars on (sentiment in a new domain)",
        "for research",
        "Take Amazon_few_shot from github.com/Gorov/DiverseFewShot_Amazon and store its files as one Parquet file with"
        " the columns domain, threshold (2, 4 or 5), split (train, dev or test: the file), meta_split (train or test:"
        " the side of the domain), label (0 or 1) and text.",
        (("text/arsc.parquet",),),
    ),
    Brought(
        "clinc150",
        "22,500 requests of 150 intents in 10 domains (text)",
        "CC BY 3.0",
        "Take data_full.json and domains.json from github.com/clinc/oos-eval into a folder clinc150; or store them as"
        " text/clinc150.parquet with the columns text, intent and domain.",
        (("text/clinc150.parquet",), ("clinc150/data_full.json", "clinc150/domains.json")),
    ),
    Brought(
        "banking77",
        "13,083 questions of 77 intents of customers of a bank (text)",
        "CC BY 4.0",
        "Take train.csv and test.csv from github.com/PolyAI-LDN/task-specific-datasets, banking_data, into a folder"
        " banking77; or store them as text/banking77.parquet with the columns text and intent.",
        (("text/banking77.parquet",), ("banking77/train.csv", "banking77/test.csv")),
    ),
    Brought(
        "huffpost",
        "36,900 headlines of 41 topics (text)",
        "for research",
        "Take huffpost.json as github.com/YujiaBao/Distributional-Signatures links to it, and store it as Parquet with"
        " the columns text (its words joined by spaces) and label (0 to 40).",
        (("text/huffpost.parquet",),),
    ),
    Brought(
        "nsl-kdd",
        "47,736 connections of a network, 41 features, 40 types of traffic",
        "for research",
        "Take KDDTrain+_20Percent.txt and KDDTest+.txt from unb.ca/cic/datasets/nsl.html, and store them as Parquet"
        " with the names of the 41 features as columns, and attack.",
        (("nsl_kdd/train20.parquet", "nsl_kdd/test.parquet"),),
    ),
    Brought(
        "keel",
        "22 small tables of classification",
        "none stated",
        "Take tables of classification from keel.es, and store them as npz: names, and for each name NAME/x, NAME/y and"
        " NAME/categorical.",
        (("tabular/keel_classification.npz",),),
    ),
    Brought(
        "fsdd",
        "3,000 spoken digits of 6 speakers, as log-mel spectra",
        "CC BY-SA 4.0",
        "Take the recordings from github.com/Jakobovski/free-spoken-digit-dataset, and store as npz: logmel (n, 40, 64)"
        " of uint8, digit (n,), speaker (n,) and speaker_name.",
        (("fsdd/fsdd_logmel.npz",),),
    ),
    Brought(
        "sign-digits",
        "2,062 photographs of hands that sign the digits 0 to 9 (64 pixels)",
        "Apache-2.0",
        "Take Dataset from github.com/ardamavi/Sign-Language-Digits-Dataset, and store it as npz: images (n, 64, 64) of"
        " uint8, grey, and label (n,).",
        (("sign_digits/sign_digits64.npz",),),
    ),
    Brought(
        "coil-20",
        "1,000 views of 20 things on a turntable (32 pixels)",
        "for research",
        "Take coil-20-proc.zip from cs.columbia.edu/CAVE/software/softlib/coil-20.php, and store it as npz: images"
        " (n, 32, 32) of uint8, and obj (n,).",
        (("coil20/coil20_32.npz",),),
    ),
    Brought(
        "magnetic-tile",
        "1,344 magnetic tiles, five defects and none, under six exposures (64 pixels)",
        "none stated; its authors ask to be cited",
        "Take github.com/abin24/Magnetic-tile-defect-datasets., and store it as npz: images (n, 64, 64) of uint8, label"
        " (n,), class_name and exposure (n,), which the names of its files tell.",
        (("magnetic_tile/magnetic_tile64.npz",),),
    ),
    Brought(
        "fs-mol",
        "482,933 measurements of molecules in 5,131 assays",
        "CC BY-SA 3.0",
        "Take datasets from github.com/microsoft/FS-Mol, and store as npz: task_split, task_offset, mol_index, label"
        " and log_value; and fp_packed_T, the bits of the fingerprints.",
        (("molecules/fsmol/fsmol_tasks.npz", "molecules/fsmol/fsmol_fingerprints.npz"),),
    ),
)
BROUGHT: dict[str, Brought] = {row.name: row for row in ROWS}


def brought(name: str) -> tuple[Path, ...]:
    """The files of a data set that a user has brought.

    Raises:
        UnknownName: no such data set.
        MissingData: they are not there; the message says where they come from, and where they belong.
    """
    if name not in BROUGHT:
        raise UnknownName.among("data set", name, BROUGHT)
    row, own = BROUGHT[name], data_folder()
    paths = row.held()
    if paths is None:
        lacking = [file for file in row.forms[0] if own is None or not (own / file).is_file()]
        where = f"{own / lacking[0]} is not there" if own else f"QUICKSTUDY_DATA names no folder with {lacking[0]}"
        raise MissingData(f"{name} has to be brought ({row.licence}), and {where}. {row.how}")
    return paths


def catalogue() -> list[Listed]:
    """Every data set that is brought, and whether it is on this machine; its size is 0 where it is not.

    >>> [line.name for line in catalogue()][:4]
    ['arsc', 'clinc150', 'banking77', 'huffpost']
    """
    lines = []
    for row in ROWS:
        paths = row.held() or ()
        found = paths[0].parent if paths else None
        lines.append(Listed(row.name, row.what, row.licence, found, sum(path.stat().st_size for path in paths)))
    return lines


def read_columns(path: Path, *names: str) -> dict[str, list[Any]]:
    """Some columns of a Parquet file.

    Raises:
        MissingData: pyarrow, which reads Parquet, is not installed.
        BadFile: the file is damaged, or lacks one of them.
    """
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingData(f"{path} is a Parquet file: `pip install 'quickstudy[tables]'` reads it.") from error
    try:
        with parquet.ParquetFile(path) as file:
            lacking = [name for name in names if name not in file.schema_arrow.names]
            found: dict[str, list[Any]] = {} if lacking else file.read(columns=list(names)).to_pydict()
            known = file.schema_arrow.names
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise BadFile(f"{path} cannot be read as Parquet ({error}); bring it anew.") from error
    if lacking:
        raise BadFile(f"{path} has no column '{lacking[0]}', but {', '.join(known)}.")
    return {name: found[name] for name in names}
