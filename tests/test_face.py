"""The public face: lazy, complete, and the same to a type checker."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import quickstudy

HEAVY = ("torch", "numpy", "sklearn", "scipy", "matplotlib", "PIL", "rich")


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, quickstudy; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    code = "from quickstudy.cli.main import call; raise SystemExit(call(['--help']))"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "study" in done.stdout and "click" in loaded
    assert not loaded & set(HEAVY)


def test_every_name_can_be_had() -> None:
    for name in quickstudy.__all__:
        assert getattr(quickstudy, name) is not None
    for family, members in quickstudy._FAMILIES.items():
        for name in members:
            assert getattr(getattr(quickstudy, family), name).__name__ == name


def test_a_wrong_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="has no 'Protoypical'; it has Matching, Prototypical"):
        quickstudy.metric.Protoypical  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no 'evalute'; it has .*evaluate"):
        quickstudy.evalute  # noqa: B018


def test_the_stub_says_the_same() -> None:
    stub = ast.parse((Path(quickstudy.__file__).with_suffix(".pyi")).read_text(encoding="utf-8"))
    names = {a.asname: n.module for n in stub.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert names.pop("errors") is None and names.pop("nets") is None and names.pop("schedules") == "loops"
    assert names == quickstudy._NAMES
    families = {
        c.name: {a.asname: n.module for n in c.body if isinstance(n, ast.ImportFrom) for a in n.names}
        for c in stub.body
        if isinstance(c, ast.ClassDef)
    }
    assert families == quickstudy._FAMILIES
