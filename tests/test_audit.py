"""CI's audit of dependencies: what it makes of pip-audit's answers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

AUDIT = Path(__file__).parents[1] / ".ci" / "audit.py"


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", AUDIT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": []} | more


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([package("safe")], 0, "1 of 1 packages audited"),
        ([package("safe"), {"name": "own", "skip_reason": "not found"}], 0, "1 of 2 packages audited"),
        ([package("open", vulns=[{"id": "CVE-1", "fix_versions": []}])], 0, "open 1.0: CVE-1, no fix"),
        ([package("old", vulns=[{"id": "CVE-2", "fix_versions": ["1.1"]}])], 1, "old 1.0: CVE-2, fixed in 1.1"),
    ],
)
def test_a_hole_that_is_mended_elsewhere_fails(audit, monkeypatch, capsys, packages, code, says) -> None:
    answer = json.dumps({"dependencies": packages, "fixes": []})
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, answer, ""))
    assert audit.main() == code
    assert says in capsys.readouterr().out


def test_without_a_network_it_says_so_and_goes_on(audit, monkeypatch, capsys) -> None:
    done = subprocess.CompletedProcess([], 1, "", "Traceback ...\nConnectionError: no route")
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)
    assert audit.main() == 0
    assert capsys.readouterr().out == "not audited: ConnectionError: no route\n"
