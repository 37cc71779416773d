"""A learner in a folder, to be given to somebody else."""

from .folder import load_bundle, save_bundle
from .use import Answers, Bundle

__all__ = ["Answers", "Bundle", "load_bundle", "save_bundle"]
