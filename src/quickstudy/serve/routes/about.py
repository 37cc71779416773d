"""What the service is and how it does."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from ..http.errors import RESPONSES
from .serving import Serving

router = APIRouter(tags=["about"], responses=RESPONSES)


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(serving: Serving) -> dict[str, str]:
    """Bundle and store are there, and the learner has room for a request."""
    await serving.tasks.aside(serving.store.page, "", 0, 1)
    await serving.worker.call(lambda: None)
    return {"status": "ready"}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(serving: Serving) -> Response:
    """Counters, as Prometheus reads them; each worker process counts for itself."""
    return Response(serving.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/bundle")
async def bundle(serving: Serving) -> dict[str, Any]:
    """What the learner is, what it takes, and how it was judged."""
    return serving.card
