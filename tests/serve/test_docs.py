"""The commands of docs/serve.md, run against a server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quickstudy.bundle import save_bundle
from quickstudy.learners.baseline.nearest import NearestNeighbour

from .test_processes import free_port, server

PAGE = Path(__file__).parents[2] / "docs" / "serve.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_commands_of_the_page(tmp_path: Path) -> None:
    (script,) = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    save_bundle(tmp_path / "bundle", NearestNeighbour(), feature=(4,))
    port = free_port()
    checked = re.sub(r"curl -s ", "curl -sS --fail-with-body -w '\\\\n' ", script)
    with server(tmp_path / "bundle", port, "--store", f"sqlite:///{tmp_path}/tasks.db"):
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", f"URL=http://127.0.0.1:{port}\n{checked}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    answers = [answer["answers"][0]["answer"] for answer in said if "answers" in answer]
    assert answers == ["setosa", "high"] and said[-1]["tasks"][0]["classes"][0]["name"] == "Iris setosa"
    assert (tmp_path / "task.state").stat().st_size > 100


def test_limits_on_the_page_are_those_of_the_code() -> None:
    from quickstudy.serve.settings import Limits

    text, limits = PAGE.read_text(encoding="utf-8"), Limits()
    for words in (
        f"{limits.body // 2**20} MiB, JSON {limits.depth} deep", f"{limits.pixels // 10**6} million pixels",
        f"{limits.rows:,} examples or questions", f"{limits.examples:,} examples, {limits.classes} classes",
        f"{limits.rate:g} requests a second", f"| {limits.queue} |", f"{limits.deadline:g} seconds",
    ):  # fmt: skip
        assert words in text
