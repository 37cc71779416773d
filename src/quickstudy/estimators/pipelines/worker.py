"""A process that fits pipelines for another one, which can end it when it takes too long, and with which it ends.

    python -m quickstudy.estimators.pipelines.worker

reads pickled questions from standard input and writes pickled answers to standard output; it is started by `Worker`
and by nobody else. Both ends are this library, on a pipe that nobody else can write to: no pickle comes from outside.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import QuickstudyError
from ..stacking.crossfit import answers_of
from ..stacking.folds import Split
from .models import build


class TrialFailed(Exception):
    """A pipeline could not be fitted in its time; the message says why."""


@dataclasses.dataclass(frozen=True)
class Work:
    """What the pipelines of one search are fitted to.

    Args:
        x: (n, d) of a `ColumnReader`.
        y: (n,) numbers of classes, or scaled targets.
        categories: (d,) as `build` takes it.
        outputs: classes, 0 for a regression.
        splits: the folds.
        seed: of the pipelines.
    """

    x: np.ndarray
    y: np.ndarray
    categories: np.ndarray
    outputs: int
    splits: list[Split]
    seed: int

    def fingerprint(self, about: str = "") -> str:
        """The same for the same data, folds and seed."""
        digest = hashlib.sha256(f"{about} {self.seed} {self.outputs} {self.x.shape}".encode())
        for array in (self.x, self.y, self.categories, *(rows for split in self.splits for rows in split)):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:20]

    def fitted(self, configuration: Mapping[str, Any], rows: np.ndarray) -> Any:
        """A pipeline that has learned from some of the rows."""
        least = int(np.unique(self.y[rows], return_counts=True)[1].min()) if self.outputs else 0
        about: dict[str, Any] = {"classification": self.outputs > 0, "categories": self.categories, "seed": self.seed}
        made = build(configuration, **about, rows=len(rows), least=least)
        return made.fit(self.x[rows], self.y[rows])

    def whole(self, configuration: Mapping[str, Any]) -> Any:
        """A pipeline that has learned from all rows."""
        return self.fitted(configuration, np.arange(len(self.y)))

    def fold(self, configuration: Mapping[str, Any], number: int) -> np.ndarray:
        """(held, outputs) answers to the rows of a fold, by a pipeline that has learned from the others."""
        learned, held = self.splits[number]
        model = self.fitted(configuration, learned)
        answers = answers_of(model, self.x[held], np.arange(self.outputs) if self.outputs else None)
        if not np.isfinite(answers).all():
            raise FloatingPointError("it answers with numbers that are not finite")
        return answers


class Worker:
    """Our end of a worker.

    Args:
        work: what it fits to.

    Attributes:
        starting: seconds that its process took to begin.
    """

    def __init__(self, work: Work):
        self.work, self.starting = work, 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, method: str, *arguments: Any, seconds: float) -> Any:
        """What a method of `Work` gives there.

        Raises:
            TrialFailed: it raised something, its process died, or the time was up.
        """
        process = self.start()
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(min(max(seconds, 0.0), threading.TIMEOUT_MAX), end)
        timer.daemon = True
        timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None
            _send(process.stdin, (method, arguments))
            error, answer = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            why = (
                f"not ready after {max(seconds, 0.0):.1f} s"
                if late.is_set()
                else f"its process ended ({process.returncode})"
            )
            raise TrialFailed(why) from None
        except BaseException:  # Ctrl-C: an answer may yet come, which would be taken for the next one's
            self.close()
            raise
        finally:
            timer.cancel()
        if error:
            raise TrialFailed(error)
        return answer

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def start(self) -> subprocess.Popen[bytes]:
        """Be ready; a process takes a second to begin, which is no pipeline's fault."""
        if self._process is not None:
            return self._process
        began = time.monotonic()
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        here = str(Path(__file__).parents[3])
        paths = os.pathsep.join([here, *filter(None, sys.path)])
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | threads | {"PYTHONPATH": paths},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            _send(self._process.stdin, self.work)
            pickle.load(self._process.stdout)
        except (EOFError, OSError) as error:
            self.close()
            raise QuickstudyError(f"The process that fits pipelines cannot be started ({error!r}).") from error
        self.starting = time.monotonic() - began
        return self._process


def _send(stream: Any, message: Any) -> None:
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _answer(work: Work, method: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "", getattr(work, method)(*arguments)
    except Exception as error:  # whatever a pipeline may raise is this trial's alone
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", None


def _read(stream: BinaryIO, messages: queue.Queue[Any]) -> None:
    """Put what comes into a queue, and end the process, whatever it is doing, when nothing can come any more."""
    try:
        while True:
            messages.put(pickle.load(stream))
    finally:  # the end of the stream, in the middle of a message too
        os._exit(0)


def main() -> None:
    """The other end."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a model prints is no answer
    messages: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, messages), daemon=True).start()
    work = messages.get()
    _send(answers, "ready")
    while True:
        _send(answers, _answer(work, *messages.get()))


if __name__ == "__main__":
    main()
