"""Packages that only some parts need, and what is said where one is missing."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import UserError


def brought_in(module: str, what: str, extra: str) -> Any:
    """A module of a package that only some parts of quickstudy need.

    Args:
        module: its whole name.
        what: needs it, for people.
        extra: of quickstudy that brings it.

    Raises:
        UserError: it is not installed, or does not run here; with the extra that brings it.
    """
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or package).split(".")[0] != package:
            raise UserError(f"{what} needs {package}, which lacks {error.name}: pip install {error.name}") from error
        raise UserError(f"{what} needs {package}, which is not here: pip install 'quickstudy[{extra}]'") from error
    except Exception as error:  # such as torchvision's beside another build of torch
        raise UserError(
            f"{what} needs {package}, which is installed and fails ({type(error).__name__}: {error}); install it again"
            f" beside this build of torch: pip install --force-reinstall 'quickstudy[{extra}]'"
        ) from error
