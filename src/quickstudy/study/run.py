"""The main job: from many tasks to the learner that learns the next one, judged on tasks that nothing learned from."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from ..bundle import save_bundle
from ..errors import TrainingStopped, UserError
from ..evaluation.audit import audit
from ..evaluation.compare import compare
from ..learner import Learner
from .diagnosing import PARTS, diagnoses
from .diagnosis import Diagnosis
from .entries import Entry, Tasks
from .findings import Findings, Row, sentence
from .judging import SHOTS, curve, judged
from .own import Own
from .shortlists import entries_for
from .training import made, trained

EMBEDDED = ("image", "text", "molecule")  # whose vectors are features, not measurements
TRAINING = 0.72  # share of the time
FEWEST = 20  # tasks that a point of a curve is worth drawing with
VARIETY = 0.15  # share for training on parts of the tasks, to see what more of them would give


@dataclasses.dataclass(frozen=True)
class Event:
    """Something to tell whoever waits.

    Args:
        phase: what is being done, in words.
        done: share of the study's time budget that is spent, 0..1.
        text: the latest number, or what was found.
    """

    phase: str
    done: float
    text: str = ""


class Study:
    """Meta-train, choose on validation tasks, judge once on test tasks, audit, and leave a folder.

    Args:
        source: the tasks to be judged on (ways, shots, queries), split already.
        out: folder for the bundle, results and report.
        seconds: budget for the whole study; what making the data leaves is shared out to training and judging.
        entries: who takes part; chosen for the data when None.
        validation: tasks to choose by.
        tests: tasks to judge by.
        seed: of first weights and episodes.
        spent: seconds already used, on making the data for instance.
        own: the user's data that the tasks were made of, if they were: its encoder goes into the bundle.

    Raises:
        UserError: a time budget too short to train in.
    """

    def __init__(
        self,
        source: Tasks,
        *,
        out: Path,
        seconds: float = 150.0,
        entries: list[Entry] | None = None,
        validation: int = 60,
        tests: int = 200,
        seed: int = 0,
        spent: float = 0.0,
        own: Own | None = None,
    ):
        if seconds < 10:
            raise UserError(f"--time is {seconds:g} seconds; a study needs at least 10 to train anything.")
        self.source, self.out, self.budget, self.seed = source, Path(out), seconds, seed
        self.entries = entries or entries_for(source, embedded=own is not None and own.rows.modality in EMBEDDED)
        self.validation, self.tests, self.own = validation, tests, own
        self.began = time.perf_counter() - spent
        self.phases: dict[str, float] = {"data": spent} if spent else {}
        self.dropped: dict[str, str] = {}
        self.findings: Findings | None = None

    @property
    def spent(self) -> float:
        """Seconds since the study began."""
        return time.perf_counter() - self.began

    def run(self) -> Iterator[Event]:
        """Do it all, telling what happens; `findings` holds the outcome afterwards."""
        rows: list[Row] = []
        # Judging, auditing, diagnosing and writing need a fixed part; training shares what is left.
        training = max(5.0, (self.budget - self.spent) * (TRAINING if self.own is None else TRAINING - VARIETY))
        for entry in self.entries:
            yield from self._take_part(entry, rows, training * entry.share)
        candidates = [row for row in rows if row.entry.role == "candidate"]
        baselines = [row for row in rows if row.entry.role == "baseline"]
        if not candidates or not baselines:
            raise UserError(f"A study needs a candidate and a baseline that train; dropped: {self.dropped}.")
        chosen, baseline = (max(group, key=lambda row: row.validation.score) for group in (candidates, baselines))
        yield from self._judge(rows, chosen, baseline)

    def _take_part(self, entry: Entry, rows: list[Row], seconds: float) -> Iterator[Event]:
        start = time.perf_counter()
        learner = made(entry, rows, self.source, self.seed)
        steps = 0
        if entry.share:
            try:
                for record in trained(entry, learner, self.source, seconds, self.seed):
                    steps = record.step
                    if record.step % 10 == 0:
                        yield Event(
                            f"training {entry.name}",
                            self.spent / self.budget,
                            f"step {record.step}, loss {record.loss:.3f}",
                        )
            except TrainingStopped as stopped:
                self.dropped[entry.name] = str(stopped)
                yield Event(f"dropped {entry.name}", self.spent / self.budget, str(stopped))
                return
        seconds = time.perf_counter() - start
        result = judged(learner, self.source, "validation", self.validation)
        rows.append(Row(entry, learner, result, seconds, steps))
        self.phases[entry.name] = time.perf_counter() - start
        yield Event(f"validated {entry.name}", self.spent / self.budget, str(result))

    def _judge(self, rows: list[Row], chosen: Row, baseline: Row) -> Iterator[Event]:
        yield Event(
            "judging on tasks kept aside", self.spent / self.budget, f"{chosen.entry.name} and {baseline.entry.name}"
        )
        start = time.perf_counter()
        tests = {row.entry.name: judged(row.learner, self.source, "test", self.tests) for row in (chosen, baseline)}
        for row in (chosen, baseline):
            result = tests[row.entry.name]
            by_shots = curve(row.learner, self.source, "test", self._affordable(result.seconds / result.tasks))
            tests[row.entry.name] = dataclasses.replace(result, by_shots=by_shots)
        comparison = compare(
            tests[chosen.entry.name], tests[baseline.entry.name], names=(chosen.entry.name, baseline.entry.name)
        )
        self.phases["judging"] = time.perf_counter() - start
        yield Event("judged", self.spent / self.budget, str(tests[chosen.entry.name]))
        start = time.perf_counter()
        verdict = audit(chosen.learner, self.source.test)
        tests[chosen.entry.name] = dataclasses.replace(tests[chosen.entry.name], audit=verdict.to_json())
        self.phases["audit"] = time.perf_counter() - start
        yield Event("audited", self.spent / self.budget, verdict.sentence)
        found = yield from self._diagnose(rows, chosen)
        self.findings = Findings(
            rows,
            chosen,
            baseline,
            tests,
            comparison,
            verdict,
            sentence(chosen, baseline, tests, comparison),
            self.phases,
            self.dropped,
            found,
        )
        # Without a clear gain the simpler one is what a user should go on with.
        best = chosen if comparison.significant and comparison.difference > 0 else baseline
        save_bundle(
            self.out / "bundle",
            best.learner,
            source=self.source,
            results=tests[best.entry.name].to_json(),
            encoder=None if self.own is None else self.own.encoder,
            columns=None if self.own is None else self.own.columns,
        )
        yield Event("saved", self.spent / self.budget, str(self.out / "bundle"))

    def _affordable(self, seconds: float) -> int:
        """Tasks of a curve, given what one takes the learner: a third of the time left, 20 at least, `tests` at most.

        With more examples a task takes longer, twice as long on average by a rough guess.
        """
        left = self.budget - self.spent
        return int(min(self.tests, max(FEWEST, left / (3 * 2 * len(SHOTS) * max(seconds, 1e-6)))))

    def _diagnose(self, rows: list[Row], chosen: Row) -> Generator[Event, None, list[Diagnosis]]:
        start, found = time.perf_counter(), []
        each = self.budget * VARIETY / len(PARTS)

        def fit(source: Tasks) -> Learner:
            learner = made(chosen.entry, rows, self.source, self.seed)
            for _ in trained(chosen.entry, learner, source, each, self.seed):
                pass
            return learner

        own = self.own
        names = own.rows.task_numbers[0] if own is not None and own.rows.tasks is not None else ()
        more = None if own is None else fit
        for one in diagnoses(chosen, rows, self.source, more, tasks=self.validation, names=names):
            found.append(one)
            yield Event(f"diagnosed {one.name}", self.spent / self.budget, one.sentence)
        self.phases["diagnosing"] = time.perf_counter() - start
        return found
