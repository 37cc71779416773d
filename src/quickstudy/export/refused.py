"""Why a learner is not exported."""

from __future__ import annotations

from ..errors import UserError


class NotExportable(UserError):
    """A learner that cannot be written as a graph, or whose graph would answer otherwise; the message says why.

    Args:
        message: one sentence.
        size: 'examples', 'ways' or 'queries', where a fixed number of them would help.
    """

    def __init__(self, message: str, *, size: str | None = None):
        super().__init__(message)
        self.size = size
