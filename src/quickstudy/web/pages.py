"""The pages of the service: frames that scripts fill from the API, and views that are drawn here.

Nothing in them is inline and nothing comes from elsewhere, so that the strictest content security policy holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from .learner import facts
from .runs import RunFolder

FRESH = {"Cache-Control": "no-cache"}  # kept, but asked about before it is used: a newer quickstudy is seen at once
KINDS = {".js": "text/javascript", ".css": "text/css"}
SCRIPTED = ("kind", "takes", "feature", "drawn", "columns", "modality", "classes")  # what scripts ask of a card


def pages(bundle_card: Callable[[], dict[str, Any]], runs: Path | None) -> APIRouter:
    """Routes of the page: tasks, one task, the learner, runs, and what they are drawn with.

    Args:
        bundle_card: what `GET /v1/bundle` answers.
        runs: a folder of training runs, if they are to be shown.
    """
    router = APIRouter(include_in_schema=False)
    drawn = _templates()
    assets = _assets()
    folder = None if runs is None else RunFolder(runs)

    def page(name: str, **values: Any) -> HTMLResponse:
        card = bundle_card()
        plain = json.dumps({key: card[key] for key in SCRIPTED})
        html = drawn.get_template(name).render(card=card, card_json=plain, has_runs=folder is not None, **values)
        return HTMLResponse(html, headers=FRESH)

    @router.get("/")
    def tasks() -> HTMLResponse:
        return page("tasks.html")

    @router.get("/tasks/{task}")
    def task(task: str) -> HTMLResponse:
        return page("task.html")  # the script takes the id from the address

    @router.get("/learner")
    def learner() -> HTMLResponse:
        return page("learner.html", facts=facts(bundle_card()))

    @router.get("/runs")
    def training_runs(request: Request) -> HTMLResponse:
        chosen = request.query_params.getlist("show")
        return page("runs.html", view=None if folder is None else folder.view(chosen))

    @router.get("/assets/{name}")
    def asset(name: str, request: Request) -> Response:
        return _sent(name, assets[name], request) if name in assets else Response(status_code=404)

    return router


def _sent(name: str, asset: tuple[bytes, str], request: Request) -> Response:
    """An asset, or that it is what the browser has already."""
    body, tag = asset
    headers = FRESH | {"ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=KINDS[Path(name).suffix], headers=headers)


def _templates() -> jinja2.Environment:
    """Every value is escaped, and one that is missing is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__ or ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _assets() -> Mapping[str, tuple[bytes, str]]:
    """Name -> (content, entity tag), read once: no path is ever made of what a browser asks for."""
    made = {}
    for folder in ("scripts", "inputs", "styles"):
        for file in files(__package__ or "").joinpath(folder).iterdir():
            if Path(file.name).suffix in KINDS:
                body = file.read_bytes()
                made[file.name] = (body, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return made
