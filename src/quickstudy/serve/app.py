"""The application: routes, errors and guard around a service that lives as long as the server runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from ..version import __version__
from ..web.pages import pages
from .http.errors import add_handlers
from .http.guard import Guard
from .metrics import Metrics
from .routes import about, answers, tasks
from .service import Service
from .settings import Settings


def make_app(settings: Settings) -> FastAPI:
    """An ASGI application; it opens bundle and store when the server starts, and lets go of them when it stops.

    >>> from pathlib import Path
    >>> sorted(make_app(Settings(Path("bundle"), "sqlite:///tasks.db")).openapi()["paths"])[:3]
    ['/healthz', '/metrics', '/readyz']
    """
    metrics = Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            service = Service.started(settings, metrics)
        except Exception as error:
            app.state.failure = error  # so that whoever started the server can say it
            raise
        app.state.service = service
        try:
            yield
        finally:
            del app.state.service
            service.stop()

    # The pages that FastAPI makes of the document fetch their scripts from elsewhere.
    app = FastAPI(
        title="quickstudy", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Teach tasks by examples, and ask about them.",
    )  # fmt: skip
    add_handlers(app)
    for router in (answers.often, about.router, tasks.router, answers.router):  # the most used first
        app.include_router(router)
    app.include_router(pages(lambda: app.state.service.card, settings.runs), include_in_schema=False)
    app.add_middleware(Guard, settings=settings, metrics=metrics)
    return app
