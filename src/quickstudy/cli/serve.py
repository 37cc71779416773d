"""`quickstudy serve`: a bundle as a page and a service."""

from __future__ import annotations

import dataclasses
import os
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..extras import brought_in


@click.command("serve")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; others need --token-file.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--store", metavar="URL", help="sqlite:///PATH or postgresql://...; by default a file beside BUNDLE.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="Ask for a token; a missing file is made, with one."
)
@click.option(
    "--name", "names", multiple=True, metavar="HOST", help="A host name the service is called by; repeatable."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes behind the port.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch, for each process.")
@click.option("--rate", type=click.FloatRange(min=0), help="Requests a second of one client; 0 for no limit.")
@click.option(
    "--cache", metavar="SIZE", default="64MiB", show_default=True, help="Learned tasks in memory, for each process."
)
@click.option("--runs", type=click.Path(path_type=Path), help="A folder of training runs to show.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
def serve_command(
    bundle: Path, host: str, port: int, store: str | None, token_file: Path | None, names: tuple[str, ...],
    workers: int, threads: int | None, rate: float | None, cache: str, runs: Path | None, open_page: bool,
) -> None:  # fmt: skip
    """Teach and ask BUNDLE on a page in the browser, and over HTTP (docs/serve.md).

    Nothing is fetched from outside, and nothing is sent there. Tasks are kept in a store; two services that share one
    share their tasks.

    \b
    quickstudy serve study/bundle --open
    quickstudy serve study/bundle --host 0.0.0.0 --token-file token.txt --workers 2
    quickstudy serve study/bundle --store postgresql://me@db/tasks
    """
    for module in ("fastapi", "uvicorn", "prometheus_client"):
        brought_in(module, "The service", "serve")
    from ..engine.budget import in_bytes
    from ..serve.http.tokens import token_of
    from ..serve.running import serve
    from ..serve.settings import Limits, Settings

    folder = bundle.resolve()
    token, fresh = (None, None) if token_file is None else token_of(token_file)
    limits = Limits(cache=in_bytes(cache))
    if rate is not None:
        limits = dataclasses.replace(limits, rate=rate or None, local_rate=rate or None)
    if threads is None and workers > 1:
        threads = max(1, (os.cpu_count() or 1) // workers)
    kept = store or f"sqlite:///{folder.with_name(folder.name + '-tasks.db')}"
    settings = Settings(folder, kept, host, port, token, names, runs and runs.resolve(), threads, limits)

    def ready(url: str) -> None:
        page = f"{url}/?token={fresh}" if fresh else url
        click.echo(f"Serving {folder.name} at {page}  (tasks are kept in {_public(kept)}; Ctrl-C stops)")
        if fresh:
            click.echo(f"The token is shown this once; {token_file} holds its hash.")
        if open_page:
            webbrowser.open(page)

    serve(settings, workers, ready)


def _public(store: str) -> str:
    """A store's URL without its password."""
    password = urlsplit(store).password
    return store if password is None else store.replace(f":{password}@", "@", 1)
