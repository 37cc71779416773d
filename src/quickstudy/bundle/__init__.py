"""A learner in a folder, to be given to somebody else."""

from .answers import Answers
from .folder import load_bundle, save_bundle
from .use import Bundle

__all__ = ["Answers", "Bundle", "load_bundle", "save_bundle"]
