"""A folder of training runs: what `train` left of each, whether it is going on, and who is best on the same tasks."""

from __future__ import annotations

import dataclasses
import datetime
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from ..errors import BadFile, UserError
from ..evaluation.compare import compare
from ..evaluation.result import Result
from ..report.charts.bars import said
from .curves import lines

QUIET = 120.0  # seconds without a new point after which a run counts as stopped
SHOWN = 6  # as many as can be told apart by colour
MOST = 16 * 2**20  # bytes of a file; none of ours comes near


class Point(NamedTuple):
    """A line of curve.jsonl: means since the line before."""

    step: int
    loss: float
    metric: float
    seconds: float
    validation: float | None


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """What a folder says of a run.

    Args:
        name: of the folder.
        points: its curve, as far as it has come.
        result: how its bundle was judged, if it is through.
        changed: seconds since the epoch.
        live: whether it seems to be training now.
    """

    name: str
    points: tuple[Point, ...]
    result: Result | None
    changed: float
    live: bool

    @property
    def state(self) -> str:
        """In one word."""
        return "training" if self.live else "stopped" if self.result is None else "judged"

    @property
    def spent(self) -> str:
        """Hours, minutes and seconds of training."""
        return str(datetime.timedelta(seconds=round(self.points[-1].seconds if self.points else 0)))


class RunFolder:
    """All runs in a folder; a file that has not changed is not read again.

    Args:
        folder: holds a folder a run: curve.jsonl while it trains, bundle/result.json when it is judged.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._read: dict[Path, tuple[tuple[int, int], Any]] = {}

    def runs(self) -> list[TrainingRun]:
        """The one that changed last comes first."""
        try:
            folders = [path for path in self.folder.iterdir() if path.is_dir()]
        except OSError:
            return []
        found = [run for path in folders if (run := self._run(path)) is not None]
        return sorted(found, key=lambda run: (-run.changed, run.name))

    def view(self, chosen: Sequence[str]) -> dict[str, Any]:
        """What the page shows.

        Args:
            chosen: names of the runs whose curves are drawn; those that train now, or the newest, where none
                of them is here.
        """
        runs = self.runs()
        drawn = [run for run in runs if run.points]
        asked = [run for run in drawn if run.name in chosen] or [run for run in drawn if run.live] or drawn[:1]
        shown = {run.name: f"c{i + 1}" for i, run in enumerate(asked[:SHOWN])}
        return {
            "runs": runs,
            "shown": shown,
            "charts": _charts(asked[:SHOWN]),
            "boards": boards(runs),
            "folder": self.folder.name,
            "most": SHOWN,
        }

    def _run(self, path: Path) -> TrainingRun | None:
        curve, judged = path / "curve.jsonl", path / "bundle" / "result.json"
        points, result = self._cached(curve, _points) or (), self._cached(judged, _result)
        if not points and result is None:
            return None
        trained, ended = (self._read[file][0][0] / 1e9 if file in self._read else 0.0 for file in (curve, judged))
        live = trained > ended and time.time() - trained < QUIET  # it may be trained again where it was judged before
        return TrainingRun(path.name, points, result, max(trained, ended), live)

    def _cached(self, file: Path, read: Any) -> Any:
        try:
            about = file.stat()
            key = (about.st_mtime_ns, about.st_size)
            if file not in self._read or self._read[file][0] != key:
                self._read[file] = (key, read(file.read_text(encoding="utf-8")) if about.st_size < MOST else None)
        except (OSError, UnicodeDecodeError):
            self._read.pop(file, None)
            return None
        return self._read[file][1]


def _points(text: str) -> tuple[Point, ...]:
    """Lines that are whole: the last one may be being written just now.

    >>> _points('{"step": 5, "loss": 1.5, "metric": 0.5, "seconds": 2, "val": null}\\n{"step": 6, "lo')
    (Point(step=5, loss=1.5, metric=0.5, seconds=2.0, validation=None),)
    """
    points = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
            value = row.get("val")
            loss, metric, seconds = (float(row[key]) for key in ("loss", "metric", "seconds"))
            points.append(Point(int(row["step"]), loss, metric, seconds, None if value is None else float(value)))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return tuple(points)


def _result(text: str) -> Result | None:
    try:
        return Result.from_json(json.loads(text))
    except (BadFile, ValueError, RecursionError):
        return None


def _charts(runs: Sequence[TrainingRun]) -> list[tuple[str, Markup]]:
    """(title, SVG) of the loss and of the metric over the steps."""
    losses = [(run.name, [(p.step, p.loss) for p in run.points], f"c{i + 1}") for i, run in enumerate(runs)]
    metrics = [(run.name, [(p.step, p.metric) for p in run.points], f"c{i + 1}") for i, run in enumerate(runs)]
    if not runs:
        return []
    charts = [
        ("Loss", losses, "mean over the tasks of a step"),
        ("Training tasks", metrics, "share of right answers, or squared error"),
    ]
    judged = [(run.name, [(p.step, p.validation) for p in run.points if p.validation is not None]) for run in runs]
    kept = [(name, points, f"c{i + 1}") for i, (name, points) in enumerate(judged) if len(points) > 1]
    charts += [("Validation tasks", kept, "right answers in percent, or squared error")] if kept else []
    return [(title, lines(series, label)) for title, series, label in charts]


def boards(runs: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """Leaderboards, one for each set of test tasks: only who met the same tasks can be compared."""
    sets: dict[tuple[str, str], list[tuple[TrainingRun, Result]]] = {}
    for run in runs:
        if run.result is not None:
            sets.setdefault((run.result.manifest, run.result.metric), []).append((run, run.result))
    return [_board(entries) for entries in sets.values()]


def _board(entries: Sequence[tuple[TrainingRun, Result]]) -> dict[str, Any]:
    ranked = sorted(entries, key=lambda entry: -entry[1].score)
    (first, best), metric = ranked[0], ranked[0][1].metric
    top = 100.0 if metric == "accuracy" else max(r.value + _half(r) for _, r in ranked) or 1.0
    rows = [
        {
            "name": run.name,
            "learner": result.learner,
            "said": said(result.value, result.ci95, metric),
            "bar": [round(100 * end / top, 2) for end in _ends(result)],
            "against": "" if run is first else _against((first.name, best), (run.name, result)),
        }
        for run, result in ranked
    ]
    return {"title": _title(best), "rows": rows, "unit": "right answers" if metric == "accuracy" else "squared error"}


def _against(best: tuple[str, Result], other: tuple[str, Result]) -> str:
    try:
        return compare(best[1], other[1], names=(best[0], other[0])).sentence
    except UserError as error:
        return str(error)


def _title(result: Result) -> str:
    protocol = result.protocol
    ways, shots = protocol.get("ways"), protocol.get("shots")
    sizes = f", {ways}-way {shots}-shot" if ways and shots else ""
    return f"{protocol.get('source', 'tasks')} ({protocol.get('split', 'test')}){sizes}, {result.tasks:,} tasks"


def _half(result: Result) -> float:
    return result.ci95 if result.ci95 == result.ci95 else 0.0  # NaN where it is unknown


def _ends(result: Result) -> tuple[float, float, float]:
    return max(0.0, result.value - _half(result)), result.value, result.value + _half(result)
