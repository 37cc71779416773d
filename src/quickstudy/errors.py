"""What can go wrong, as a tree. Nothing here imports torch, so that the command line can start at once.

QuickstudyError
├── UserError                the input is at fault: one message with cause, numbers and remedy (exit code 2)
│   ├── BadExamples          shapes, types, labels, NaN
│   ├── NotEnoughExamples    a class has fewer examples than a task needs
│   ├── OverlappingSplits    something stands on both sides of a split
│   ├── UnknownName          a learner, net, source or option that does not exist
│   ├── MissingData          a data set that is not on this machine
│   └── BadFile              a bundle, state, checkpoint or recipe that cannot be read
├── TrainingStopped          the loss is not finite any more, or a process was killed (exit code 1)
│   └── ProcessGone          another of the processes that train together is gone
└── ContractBroken           a learner does not do what it declares
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QuickstudyError(Exception):
    """Everything this library raises on purpose."""


class UserError(QuickstudyError, ValueError):
    """The input is at fault; the message says what to change. Safe to show, safe to map to HTTP 400."""


class BadExamples(UserError):
    """Examples of the wrong shape, type or content."""


class NotEnoughExamples(UserError):
    """A class has fewer examples than shots + queries, or a pool has fewer classes than ways."""


class OverlappingSplits(UserError):
    """A class, group or sample is on both sides of a split."""


class UnknownName(UserError):
    """A name that nothing answers to."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """The message for a wrong name: the nearest one that exists, and all of them."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        return cls(f"There is no {kind} '{name}'.{hint} Known: {', '.join(names) or 'none'}.")


class MissingData(UserError):
    """A data set that is neither in QUICKSTUDY_DATA nor in the cache."""


class BadFile(UserError):
    """A file that is truncated, altered, of a newer version, or not ours."""


class TrainingStopped(QuickstudyError, RuntimeError):
    """Training met a loss that is not finite."""


class ProcessGone(TrainingStopped):
    """One of several processes that train together has ended."""


class ContractBroken(QuickstudyError, AssertionError):
    """A learner breaks a promise of the contract; the message names the promise and the numbers."""
