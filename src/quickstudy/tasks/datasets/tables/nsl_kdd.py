"""Attacks that were never seen (NSL-KDD: Tavallaee et al. 2009, doi:10.1109/CISDA.2009.5356528)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ....errors import UserError
from ...pool import Pool
from ..brought import brought, read_columns

WORDS = ("protocol_type", "service", "flag")
NUMBERS = (
    *("duration", "src_bytes", "dst_bytes", "land", "wrong_fragment", "urgent", "hot", "num_failed_logins"),
    *("logged_in", "num_compromised", "root_shell"),
    *("su_attempted", "num_root", "num_file_creations", "num_shells", "num_access_files", "num_outbound_cmds"),
    *("is_host_login", "is_guest_login", "count", "srv_count", "serror_rate", "srv_serror_rate", "rerror_rate"),
    *("srv_rerror_rate", "same_srv_rate", "diff_srv_rate", "srv_diff_host_rate", "dst_host_count"),
    *("dst_host_srv_count", "dst_host_same_srv_rate", "dst_host_diff_srv_rate", "dst_host_same_src_port_rate"),
    *("dst_host_srv_diff_host_rate", "dst_host_serror_rate", "dst_host_srv_serror_rate", "dst_host_rerror_rate"),
    "dst_host_srv_rerror_rate",
)
VALIDATION = ("back", "nmap", "pod", "teardrop", "warezclient")  # of the known types that have 20 rows at least


def nsl_kdd(*, least: int = 20) -> Pool:
    """Connections of a network: known types of traffic train and validate, types that training has no trace of test.

    Rows of the training file (its published fifth) are for training and validation, those of the test file for the
    test, where known types are left out. An input is the 41 features of a connection: 38 numbers, as
    log(1 + number) in parts of the largest among the training types, and one column of 0 or 1 for every protocol,
    service and flag of the training file. Every type is a group of its own: the new ones belong to no known family.

    Args:
        least: rows of a type without which it is left out; 5 shots and 15 queries need 20.

    Raises:
        MissingData: it is not on this machine.
        UserError: no training type has so many rows.

    >>> sorted(c for c, side in zip(nsl_kdd().classes, nsl_kdd().split) if side == "train")  # doctest: +SKIP
    ['ipsweep', 'neptune', 'normal', 'portsweep', 'satan', 'smurf']
    """
    known, new = (read_columns(path, *NUMBERS, *WORDS, "attack") for path in brought("nsl-kdd"))
    types = set(known["attack"])
    table = {name: known[name] + new[name] for name in known}
    attack = np.array(table["attack"])
    tested = np.arange(len(attack)) >= len(known["attack"])
    kept = tested != np.isin(attack, list(types))  # rows to train on, all of known types, and new types to test
    names, sizes = np.unique(attack[kept], return_counts=True)
    names = names[sizes >= least]
    rows = (kept & np.isin(attack, names)).nonzero()[0]
    side = {c: "test" if c not in types else "validation" if c in VALIDATION else "train" for c in names.tolist()}
    training = np.array([side[c] == "train" for c in attack[rows].tolist()], dtype=bool)
    if not training.any():
        raise UserError(f"least is {least}, but no type of NSL-KDD's training file has so many rows; lower it.")
    return Pool(
        name="nsl-kdd",
        x=torch.from_numpy(_inputs(table, rows, training, {name: sorted(set(known[name])) for name in WORDS})),
        y=torch.from_numpy(np.searchsorted(names, attack[rows])),
        classes=tuple(names.tolist()),
        groups=tuple(names.tolist()),
        split=tuple(side[c] for c in names.tolist()),
    )


def _inputs(
    table: dict[str, list[Any]], rows: np.ndarray, training: np.ndarray, words: dict[str, list[str]]
) -> np.ndarray:
    """(n, columns) float32."""
    columns = []
    for name in NUMBERS:
        # Bytes and counts run over many orders of magnitude, and most are 0: their deviations would blow up the rest.
        values = np.log1p(np.asarray(table[name], dtype=np.float64)[rows])
        columns.append(values / (values[training].max() or 1.0))
    for name, known in words.items():
        values = np.asarray(table[name])[rows]
        columns += [values == word for word in known]
    return np.stack(columns, 1).astype(np.float32)
