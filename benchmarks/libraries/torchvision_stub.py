"""Stands in the place of torchvision, which some libraries import and none of the timed code uses.

Every name is an empty class, but for Compose, and every submodule exists: importing goes well, using it does not.
"""

import importlib.abc
import importlib.machinery
import sys
import types

__path__ = []


class _Stub(types.ModuleType):
    def __getattr__(self, name):
        return _empty(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        inside = name.startswith(__name__ + ".")
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if inside else None

    def create_module(self, spec):
        return _Stub(spec.name)

    def exec_module(self, module):
        pass


class Compose:
    """Functions one after another."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, value):
        for transform in self.transforms:
            value = transform(value)
        return value


def _empty(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Compose if name == "Compose" else type(name, (), {})


__getattr__ = _empty
sys.meta_path.append(_Finder())
