"""Where trials are kept, with what they answered, so that a search goes on after any end of the one before."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from ...errors import UserError
from ...storage import write_atomically

HEARTBEAT = 2  # seconds between signs of life of a trial; after twice that it counts as dead


@dataclasses.dataclass(frozen=True)
class Tried:
    """A pipeline that has been tried.

    Args:
        number: of the trial.
        configuration: of the space of pipelines.
        score: mean over folds, higher is better; NaN for a trial that failed.
        folds: the score of each fold that was reached.
        seconds: it took.
        why: what went wrong, "" if nothing did; 'pruned' for one that others left far behind.
        answers: (n, outputs) to the rows held out; None unless it is complete.
    """

    number: int
    configuration: dict[str, Any]
    score: float
    folds: tuple[float, ...]
    seconds: float
    why: str = ""
    answers: np.ndarray | None = None


class Store:
    """Where trials are kept: in memory, or in a folder, where the next search finds them after any end of this one.

    Args:
        folder: holds trials.db, an SQLite file of Optuna's, and the answers of complete trials; None for memory.
    """

    def __init__(self, folder: str | Path | None):
        self.folder = None if folder is None else Path(folder)
        self._answers: dict[tuple[str, int], np.ndarray] = {}
        if self.folder is None:
            self.storage: Any = optuna.storages.InMemoryStorage()
            return
        if self.folder.is_file():
            raise UserError(f"{self.folder} is a file; trials are kept in a folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.storage = open_storage(f"sqlite:///{(self.folder / 'trials.db').absolute()}")

    def close(self) -> None:
        """Let go of the file."""
        self.storage.remove_session()
        if self.folder is not None:
            self.storage.engine.dispose()

    def keep(self, study: str, number: int, answers: np.ndarray) -> None:
        """Keep what a trial answered."""
        if self.folder is None:
            self._answers[study, number] = answers
            return
        content = io.BytesIO()
        np.save(content, answers.astype(np.float32), allow_pickle=False)
        write_atomically(self._path(study, number), content.getvalue())

    def kept(self, study: str, number: int) -> np.ndarray | None:
        """What a trial answered; None if that is gone."""
        if self.folder is None:
            return self._answers.get((study, number))
        try:
            return np.load(self._path(study, number), allow_pickle=False).astype(np.float64)
        except (OSError, ValueError):
            return None

    def _path(self, study: str, number: int) -> Path:
        assert self.folder is not None
        return self.folder / "answers" / study / f"{number}.npy"


def open_storage(address: str) -> optuna.storages.RDBStorage:
    """A storage of Optuna in which a trial whose process is gone ends too, some seconds later.

    Raises:
        UserError: the address cannot be opened.
    """
    wait = {"connect_args": {"timeout": 60}} if address.startswith("sqlite") else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(
                address, engine_kwargs=wait, heartbeat_interval=HEARTBEAT, grace_period=2 * HEARTBEAT
            )
    except Exception as error:  # whatever the driver of the database raises
        raise UserError(f"{address} cannot be opened as a storage of Optuna: {error}") from error


def end_dead_trials(study: optuna.Study) -> None:
    """Record that trials have failed whose process was killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Optuna says what happens to trials on standard error; here it is in the leaderboard."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
