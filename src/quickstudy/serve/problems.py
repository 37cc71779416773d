"""What a service says no to; user errors of the library are answered 422, these otherwise."""

from __future__ import annotations

from ..errors import QuickstudyError, UserError


class NoSuchTask(UserError):
    """A task, or an example of it, that does not exist or was deleted: 404."""


class Conflict(UserError):
    """What cannot be done as the task is now: 409."""


class TooMuch(UserError):
    """A request, picture or task beyond the limits: 413."""


class Unsupported(UserError):
    """A body of a type that is not read: 415."""


class Busy(QuickstudyError):
    """More requests than the service can queue: 503, try again."""


class StoreDown(QuickstudyError):
    """The store cannot be read or written now: 503; nothing that was acknowledged is lost."""


class Stale(QuickstudyError):
    """A task was changed by somebody else in the meantime: read it again."""


class Relearn(QuickstudyError):
    """The state of a task is damaged or of another learner: adapt again to the examples that are kept."""
