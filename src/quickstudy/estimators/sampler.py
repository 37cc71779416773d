"""Past data sets behind Optuna: a sampler that asks a learner of selection what to try next."""

from __future__ import annotations

import threading
import warnings
from typing import Any

from torch import Tensor

from ..errors import UserError
from ..learner import Learner
from ..tasks.scores.candidates import name_of
from ..tasks.scores.settings import Choice, holds
from ..tasks.scores.space import Space
from ..tasks.scores.table import ScoreTable
from .advisor import LEARNER, Advisor, Configuration

try:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise UserError(
        "MetaSampler needs Optuna, which is not installed here; run pip install 'quickstudy[automl]'."
    ) from error


class MetaSampler(BaseSampler):
    """Tries next what a learner of selection thinks most of, having seen past data sets and the trials so far.

    Unlike Optuna's own samplers it knows, before the first trial, what was good elsewhere. Storage, pruning, parallel
    trials, ask and tell, and the dashboard are Optuna's. Parameters go by the names of the table's settings: what an
    objective suggests under another name is drawn by `cold`, and so is all of it once the table's candidates have been
    tried, or where the past knows no parameter of a study; a warning says so.

    Args:
        table: what is known of past data sets, in the unit of the study's values (their sign follows its direction).
        learner: of selection, a name (see `quickstudy list learners`) or an instance; it is fitted to the table here.
        description: (m,) meta-features of the new data set, as the table has them; None where they are not known.
        fresh: how many new configurations are weighed beside the table's at every trial; see `Advisor`.
        cold: who draws what the past does not know; None is Optuna's TPE.
        seed: of `fresh` and of the default `cold`.

    Raises:
        UserError: a study with several objectives.

    >>> past = [{"C": c} for c in (0.1, 1.0, 10.0)]
    >>> table = ScoreTable.of_trials(["a"] * 3 + ["b"] * 3, past * 2, [0.5, 0.6, 0.9, 0.4, 0.7, 0.8])
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=MetaSampler(table, "portfolio"), direction="maximize")
    >>> study.ask().suggest_float("C", 0.01, 100.0, log=True)
    10.0
    """

    def __init__(
        self,
        table: ScoreTable,
        learner: str | Learner = LEARNER,
        *,
        description: Tensor | None = None,
        fresh: int = 0,
        cold: BaseSampler | None = None,
        seed: int = 0,
    ):
        self.advisor = Advisor(table, learner, description=description, fresh=fresh, seed=seed)
        self.cold = optuna.samplers.TPESampler(seed=seed) if cold is None else cold
        self._given: dict[int, Configuration] = {}  # number of a trial that goes on -> what it is to try
        self._lock = threading.RLock()
        self._said: set[str] = set()

    def recommend(self, k: int = 1, study: Study | None = None) -> list[dict[str, Any]]:
        """The k configurations to try next, best first: before any trial, or after those of a study."""
        return self._after(study).recommend(k)

    def explain(self, study: Study | None = None) -> str:
        """Why it would try next what it would, before any trial or after those of a study."""
        advisor = self._after(study)
        spent = "All candidates of the past have been tried; what comes next is drawn cold."
        return "\n".join([advisor.explain() if advisor.candidates() else spent, *sorted(self._said)])

    # What Optuna calls.

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        # None of ours is relative: each comes to `sample_independent`, with the range that it has in this study.
        return self.cold.infer_relative_search_space(study, trial) if self._is_cold(study) else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with self._lock:
            if self._is_cold(study):
                return self.cold.sample_relative(study, trial, search_space)
            self._given[trial.number] = self._after(study).ask(self._left(study))
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        given = self._given.get(trial.number, {})
        if param_name in given and _allowed(param_distribution, given[param_name]):
            return given[param_name]
        if param_name not in self.advisor.space.settings:
            self._say(f"The past data sets know no parameter '{param_name}', so it is drawn without them.")
        elif param_name in given:
            self._say(f"What the past data sets say of '{param_name}' is outside its range here, so it is drawn anew.")
        return self.cold.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        if len(study.directions) > 1:
            raise UserError(f"This study has {len(study.directions)} objectives; MetaSampler serves one.")
        self.cold.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        with self._lock:
            self._given.pop(trial.number, None)
        self.cold.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self.cold.reseed_rng()

    # How it finds an answer.

    def _is_cold(self, study: Study) -> bool:
        """Whether the past has nothing to say: a study of parameters that it never had, or all of it tried."""
        names = {name for trial in study.get_trials(deepcopy=False) for name in trial.params}
        foreign = bool(names) and not names & self.advisor.space.settings.keys()
        if foreign:
            self._say("The past data sets know no parameter of this study, so it goes on without them.")
        return foreign or not self._left(study)

    def _left(self, study: Study) -> list[dict[str, Any]]:
        """Candidates that no trial has had or has now, and that fit the ranges which trials have shown."""
        trials = study.get_trials(deepcopy=False)
        met = {name_of(self._ours(trial)) for trial in trials} | {name_of(c) for c in self._given.values()}
        ranges = {name: range_ for trial in trials for name, range_ in trial.distributions.items()}
        return [
            candidate
            for candidate in self._after(study).candidates()
            if name_of(candidate) not in met
            and all(_allowed(ranges[name], value) for name, value in candidate.items() if name in ranges)
        ]

    def _after(self, study: Study | None) -> Advisor:
        """The advisor that knows the trials of a study: their values, or what was last reported of a pruned one."""
        if study is None:
            return self.advisor
        sign = -1.0 if study.direction == StudyDirection.MINIMIZE else 1.0
        values = [(self._ours(trial), _value(trial)) for trial in study.get_trials(deepcopy=False)]
        return self.advisor.after([(c, sign * v) for c, v in values if v is not None and self._is_ours(c)])

    def _ours(self, trial: FrozenTrial) -> dict[str, Any]:
        return {name: value for name, value in trial.params.items() if name in self.advisor.space.settings}

    def _is_ours(self, configuration: Configuration) -> bool:
        try:
            self.advisor.space.encode([configuration])
        except UserError:
            return False
        return bool(configuration)

    def _say(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            warnings.warn(sentence, UserWarning, stacklevel=3)


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """A configuration of a space, asked of a trial setting by setting, each only where it is there.

    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> suggest(optuna.create_study().ask(), Space.of({"C": {"low": 1.0, "high": 1.0}}))
    {'C': 1.0}
    """
    found: dict[str, Any] = {}
    for name, setting in space.settings.items():
        if setting.when is not None and not holds(setting.when, found):
            continue
        if isinstance(setting, Choice):
            found[name] = trial.suggest_categorical(name, list(setting.choices))
        elif setting.whole:
            step = int(setting.step or 1)
            found[name] = trial.suggest_int(name, int(setting.low), int(setting.high), step=step, log=setting.log)
        else:
            found[name] = trial.suggest_float(name, setting.low, setting.high, step=setting.step, log=setting.log)
    return found


def _allowed(range_: BaseDistribution, value: Any) -> bool:
    try:
        return range_._contains(range_.to_internal_repr(value))
    except (TypeError, ValueError):
        return False


def _value(trial: FrozenTrial) -> float | None:
    """The value of a finished trial, the last intermediate one of a pruned trial."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    if trial.state != TrialState.PRUNED or not trial.intermediate_values:
        return None
    return trial.intermediate_values[max(trial.intermediate_values)]
