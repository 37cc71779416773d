"""Errors as answers: a kind, a sentence, a status; never a path of this machine or a trace."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ...errors import QuickstudyError, UserError
from ..problems import Busy, Conflict, NoSuchTask, StoreDown, TooMuch, Unsupported

LOG = logging.getLogger("quickstudy.serve")
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NoSuchTask, 404), (Conflict, 409), (TooMuch, 413), (Unsupported, 415), (UserError, 422), (Busy, 503),
    (StoreDown, 503),
)  # fmt: skip
KINDS = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed"}


class Refused(BaseModel):
    """Why something was refused: a kind for programs, a sentence for people."""

    kind: str
    message: str


class Refusal(BaseModel):
    """What every error is answered with."""

    error: Refused


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": text}
    for status, text in {
        400: "No JSON", 401: "No token, or a wrong one", 403: "Another origin or host", 404: "There is none",
        409: "Not as things are now", 413: "Too large", 415: "Another type of body", 422: "Not possible with this",
        429: "Too often", 503: "Busy, or the store is down; try again", 504: "It took too long",
    }.items()
}  # fmt: skip


def table(kind: str, message: str) -> dict[str, Any]:
    """The body of an error."""
    return {"error": {"kind": kind, "message": message}}


def answer(status: int, kind: str, message: str) -> JSONResponse:
    """An error as a response."""
    later = {"Retry-After": "1"} if status in (429, 503) else None
    return JSONResponse(table(kind, message), status, later)


def status_of(error: Exception) -> int:
    """The status that an error of ours is answered with."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def of_error(error: Exception) -> JSONResponse:
    """Any error as a response; what was not foreseen goes to the log, and only there."""
    status = status_of(error)
    if status == 500:
        LOG.error("A request failed", exc_info=error)
        return answer(500, "Failed", "Something went wrong in the service; its log says what.")
    if isinstance(error, StoreDown):
        LOG.warning("%s (%s)", error, error.__cause__)
    return answer(status, type(error).__name__, str(error))


def add_handlers(app: FastAPI) -> None:
    """Have the application answer errors like that."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        return of_error(error)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        if first["type"] == "json_invalid":
            return answer(400, "BadRequest", "The body is no JSON.")
        return answer(422, "BadRequest", f"{where or 'The body'}: {first['msg']}.")

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        said = {400: "The body is no JSON.", 404: "There is nothing here.", 405: "This path has other methods."}
        status = error.status_code
        made = answer(status, KINDS.get(status, "Refused"), said.get(status, "This request was refused."))
        made.headers.update(error.headers or {})
        return made

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(QuickstudyError, ours)
