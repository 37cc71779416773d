"""MovieLens 100k (Harper and Konstan 2015, doi:10.1145/2827872): a user is a task, to rate films as this user does."""

from __future__ import annotations

import re

import numpy as np
import torch

from ...errors import MissingData
from ..groups import Groups
from .named import data_folder

FILE = "movielens100k/movielens100k.npz"
SIDES = ("train",) * 6 + ("validation",) * 2 + ("test",) * 2  # of ten users in turn, once they are shuffled


def movielens(*, shots: int = 10, queries: int = 10, seed: int = 0, split: str = "train") -> Groups:
    """Ratings of 1 to 5 by 943 users, 60 % of them for training, 20 % each for validation and test.

    An input describes a film in 22 numbers: 19 genres, its year (decades since 1980), and, from the ratings of the
    training users alone, its mean rating (drawn to the mean of all by five ratings) and the logarithm of how many there
    are. The description of a task is the user's age in decades, gender (1 is male) and occupation (21 of 0 or 1). The
    split of the users does not depend on the seed.

    Args:
        shots: films that a user has rated.
        queries: films to rate.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Raises:
        MissingData: the data is not on this machine. Its licence forbids handing it on, so it is not fetched.

    >>> movielens(shots=5).sample(0, 2).support.x.shape  # doctest: +SKIP
    torch.Size([2, 5, 22])
    """
    own = data_folder()
    path = None if own is None else own / FILE
    if path is None or not path.is_file():
        raise MissingData(
            f"MovieLens 100k is not at {path or FILE}, and its licence forbids handing it on. Get ml-100k from"
            " grouplens.org, and store as npz: ratings (n, 3) of user, item and rating counted from 1, user_age,"
            " user_gender, user_occupation, item_release and item_genres; then set QUICKSTUDY_DATA to the folder above."
        )
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    user, item, rating = (data["ratings"][:, i].astype(np.int64) for i in range(3))
    user, item = user - 1, item - 1
    order = np.random.default_rng(0).permutation(len(data["user_age"]))
    sides = np.empty(len(order), dtype=object)
    sides[order] = [SIDES[i % len(SIDES)] for i in range(len(order))]
    films = _films(data, item, rating, sides[user] == "train")
    jobs = sorted(set(data["user_occupation"].tolist()))
    job = np.array([jobs.index(name) for name in data["user_occupation"].tolist()])
    known = [data["user_age"][:, None] / 10, data["user_gender"][:, None], np.eye(len(jobs))[job]]
    return Groups(
        "movielens",
        lambda rows: films[torch.from_numpy(item)[rows]],
        torch.from_numpy(rating.astype(np.float32)).unsqueeze(1),
        torch.from_numpy(user),
        tuple(sides.tolist()),
        description=torch.from_numpy(np.concatenate(known, 1).astype(np.float32)),
        shots=shots,
        queries=queries,
        seed=seed,
        split=split,
    )


def _films(data: dict[str, np.ndarray], item: np.ndarray, rating: np.ndarray, training: np.ndarray) -> torch.Tensor:
    """(films, 22) what is known of each film without the users that are kept aside."""
    count = np.bincount(item[training], minlength=len(data["item_genres"]))
    total = np.bincount(item[training], weights=rating[training], minlength=len(count))
    mean = (total + 5 * rating[training].mean()) / (count + 5)
    years = [re.search(r"\d{4}$", text) for text in data["item_release"].tolist()]
    decade = np.array([(int(year.group()) - 1980) / 10 if year else 0.0 for year in years])
    columns = [data["item_genres"], decade[:, None], mean[:, None], np.log1p(count)[:, None]]
    return torch.from_numpy(np.concatenate(columns, 1).astype(np.float32))
