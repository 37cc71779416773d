"""Bundles that learn nothing worth knowing, at once, and services around them."""

from __future__ import annotations

import dataclasses
import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from quickstudy.bundle import save_bundle
from quickstudy.encoders.tables import Table
from quickstudy.encoders.text import HashedNGrams
from quickstudy.functional.distances import squared_euclidean
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.mlp import MLP
from quickstudy.rng import Rng, forked
from quickstudy.tasks.own.rows import Columns

pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx2")

WIDTH = 8


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle for each kind of input."""
    folder = tmp_path_factory.mktemp("bundles")
    with forked(Rng(0)):
        learner = Prototypical(MLP(WIDTH, 6, hidden=(16,)))
        drawing, steps = Prototypical(Conv4(width=8)), MAML(MLP(WIDTH, 5, hidden=(16,)), steps=3, lr=0.1)
    curve = {"metric": "accuracy", "by_shots": {"1": [80.0, 1.0], "5": [90.0, 1.0]}}
    save_bundle(folder / "vectors", learner, feature=(WIDTH,), recipe={"title": "Vectors"}, results=curve)
    save_bundle(folder / "glyphs", drawing, feature=(1, 28, 28), recipe={"source": {"name": "glyphs"}})
    save_bundle(folder / "steps", steps, feature=(WIDTH,))
    save_bundle(folder / "regression", NearestNeighbour(distance=squared_euclidean), feature=(2,), kind="regression")
    text = HashedNGrams(width=64)
    save_bundle(folder / "texts", Prototypical(MLP(64, 6)), encoder=text, columns={"label": "mood", "text": "words"})
    rows = Columns(np.array([[1.0], [5.0]]), ("age",), np.array([[0], [1]], np.int32), ("hue",), (("blue", "red"),))
    save_bundle(folder / "rows", NearestNeighbour(), encoder=Table.fit(rows), columns={"label": "kind"})
    return folder


def vector(number: int, seed: int = 0) -> list[float]:
    """An input of class `number` of the bundle of vectors."""
    noise = np.random.default_rng([number, seed]).normal(size=WIDTH) / 4
    return (3 * np.eye(WIDTH)[number % WIDTH] + noise).round(4).tolist()


def examples(classes: int, shots: int, seed: int = 0) -> list[dict[str, Any]]:
    """Labelled vectors, as JSON."""
    return [{"x": vector(c, 100 * seed + k), "y": f"class {c}"} for c in range(classes) for k in range(shots)]


@pytest.fixture
def started(bundles: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """name of a bundle, store, limits -> a client of a service that runs in this process."""
    import contextlib

    from fastapi.testclient import TestClient

    from quickstudy.serve.app import make_app
    from quickstudy.serve.settings import Limits, Settings

    with contextlib.ExitStack() as stack:

        def start(name: str = "vectors", *, store: str | None = None, limits: Limits | None = None, **more: Any) -> Any:
            kept = store or f"sqlite:///{tmp_path}/tasks.db"
            limits = limits or Limits()
            if limits.rate == Limits().rate:  # these clients are not of this machine, going by their name
                limits = dataclasses.replace(limits, rate=None)
            settings = Settings(bundles / name, kept, threads=1, limits=limits, **more)
            app = make_app(settings)
            return stack.enter_context(TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False))

        threads = torch.get_num_threads()
        yield start
    torch.set_num_threads(threads)


@pytest.fixture
def client(started: Callable[..., Any]) -> Any:
    """A client of a service for vectors."""
    return started()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server: what QUICKSTUDY_POSTGRES names, or one that is started for these tests.

    That one is set up as on a bare machine: without a locale, whose encoding is SQL_ASCII.
    """
    if named := os.environ.get("QUICKSTUDY_POSTGRES"):
        yield named
        return
    pytest.importorskip("psycopg", reason="PostgreSQL needs psycopg: pip install 'quickstudy[postgres]'")
    places = [str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    found = {n: shutil.which(n, path=os.pathsep.join([*places, os.environ["PATH"]])) for n in ("initdb", "pg_ctl")}
    if None in found.values():
        pytest.skip("there is no PostgreSQL on this machine (initdb and pg_ctl): apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="quickstudy-postgres-"))
    user = "nobody" if getpass.getuser() == "root" else getpass.getuser()  # it does not run as root
    shutil.chown(folder, user)

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, cwd=folder, capture_output=True, timeout=60)

    data = str(folder / "data")
    run(str(found["initdb"]), "-D", data, "-U", "tester", "-A", "trust", "--no-locale", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run(str(found["pg_ctl"]), "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
    try:
        yield f"postgresql://tester@/postgres?host={folder}"
    finally:
        run(str(found["pg_ctl"]), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
