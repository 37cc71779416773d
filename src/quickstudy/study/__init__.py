"""The main job."""

from .entries import Entry as Entry
from .run import Event as Event
from .run import Study as Study
