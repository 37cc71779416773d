"""A service as processes: one, or several that share a port; each finishes what it accepted before it ends."""

from __future__ import annotations

import functools
import ipaddress
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from ..errors import QuickstudyError, UserError
from .app import make_app
from .metrics import Metrics
from .service import Service
from .settings import Settings

STARTS = 90  # seconds that a worker may take to load torch and the bundle while the machine is busy
LOOK = 0.5  # seconds between two looks of a worker whether the process that started it is still there


def serve(settings: Settings, workers: int = 1, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        settings: of the service.
        workers: processes; each has a learner of its own, and they share the store.
        ready: told the address, once connections to it are taken.

    Raises:
        UserError: an address that is taken, or open to others without a token; a bundle or store that cannot be opened.
    """
    if settings.token is None and not _is_loopback(settings.host):
        raise UserError(
            f"Whoever can reach {settings.host} could read and change every task. Give --token-file FILE, which makes a"
            " token, or leave out --host to serve this machine alone."
        )
    with _listening(settings) as listening:
        name = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
        url = f"http://{f'[{name}]' if ':' in name else name}:{listening.getsockname()[1]}"
        if workers == 1:
            app = make_app(settings)
            server = uvicorn.Server(_config(app, settings))
            ready(url)
            try:
                server.run(sockets=[listening])
            except SystemExit:  # of uvicorn, when the application could not start
                if not isinstance(getattr(app.state, "failure", None), QuickstudyError):
                    raise
            if isinstance(failure := getattr(app.state, "failure", None), QuickstudyError):
                raise failure
            return
        # What cannot start is better found once than by every worker again and again; in a process that ends, since
        # the one that watches over the workers has no use for torch's memory.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(_check, settings).result()
        config = _config(functools.partial(_app_of_worker, settings, os.getpid()), settings, factory=True)
        config.workers = workers
        ready(url)
        Multiprocess(config, [listening]).run()


def _config(app: Callable[..., FastAPI] | FastAPI, settings: Settings, *, factory: bool = False) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=factory,
        log_level="critical" if not factory else "error",
        access_log=False,
        proxy_headers=False,  # a client could say that it is another one
        server_header=False,
        ws="none",
        lifespan="on",
        limit_concurrency=4 * settings.limits.queue,
        timeout_keep_alive=30,
        timeout_worker_healthcheck=STARTS,
        timeout_graceful_shutdown=round(settings.limits.deadline) + 5,
    )


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        made.listen(2_048)  # who comes before the learner is loaded waits, instead of being refused
        made.set_inheritable(True)
    except OSError as error:
        made.close()
        reason = error.strerror or str(error)
        raise UserError(
            f"{settings.host}:{settings.port} cannot be served at ({reason}); give another --port."
        ) from error
    return made


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check(settings: Settings) -> None:
    Service.started(settings, Metrics()).stop()


def _app_of_worker(settings: Settings, parent: int) -> FastAPI:
    """The application of one of several processes, which ends when the one that started it is gone."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, name="parent", daemon=True).start()
    return make_app(settings)
