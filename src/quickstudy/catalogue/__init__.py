"""What there is by name: where it lives, which keywords a name stands for, one line, and the paper. Plain data."""

from .entry import Entry
from .learners import LEARNERS
from .parts import NETS, SOURCES
from .selection import SELECTION

KINDS = ("learner", "net", "source")
CATALOGUE = (*LEARNERS, *SELECTION, *NETS, *SOURCES)

__all__ = ["CATALOGUE", "KINDS", "LEARNERS", "NETS", "SELECTION", "SOURCES", "Entry"]
