"""Why a learner is as good as it is, and what its answers rest on: in plain words, with a figure each."""

from .answers import columns, influence, occlusion, words
from .diagnosis import Diagnosis, against_pooling, overfitting
from .growth import variety
from .mislabelled import wrong_labels
from .similar import nearest_support, similar_tasks
from .task_map import Similar, TaskMap
from .units import part_of

__all__ = [
    "Diagnosis",
    "Similar",
    "TaskMap",
    "against_pooling",
    "columns",
    "influence",
    "nearest_support",
    "occlusion",
    "overfitting",
    "part_of",
    "similar_tasks",
    "variety",
    "words",
    "wrong_labels",
]
