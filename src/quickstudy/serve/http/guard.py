"""What stands in front of every request: who asks, from where, how often, how much; and what a browser may do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..metrics import Metrics
from ..settings import Settings
from .errors import answer, of_error
from .origins import is_known_host, is_same_origin
from .rate import Rate
from .shape import refuse_shape
from .tokens import COOKIE, is_token, shown_token

OPEN = ("/healthz", "/readyz")
PATIENCE = 4  # times the largest body that are read before a client that does not stop is cut off
EXPORTED = 120.0  # seconds that making a file of the learner may take, the first time
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " media-src 'self' blob:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class Guard:
    """An ASGI application in front of another one.

    A request that is refused never reaches it; of one that is not, the whole body has been read, is small enough, and
    where it is JSON it is nested no deeper than allowed.

    Args:
        app: behind it.
        settings: of the service.
        metrics: that count requests.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics):
        self.app, self.settings, self.limits, self.metrics = app, settings, settings.limits, metrics
        self.rate = Rate(self.limits.rate, self.limits.local_rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        try:
            await self._guarded(scope, receive, dressed)
        finally:
            self.metrics.request(scope, status, time.perf_counter() - began)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._deadline(scope["path"])):
                refused = self._refused(scope)
                if refused is None and scope["method"] in UNSAFE:
                    body, refused = await self._body(scope, receive)
                    receive = _said(body, receive)
                await (self.app if refused is None else refused)(scope, receive, watched)
        except TimeoutError:
            if not started:
                words = (
                    f"The answer took longer than {self._deadline(scope['path']):g} seconds; ask for less, or again."
                )
                await answer(504, "TooLate", words)(scope, receive, send)
        except Exception as error:
            if not started:
                await of_error(error)(scope, receive, send)

    def _deadline(self, path: str) -> float:
        return max(self.limits.deadline, EXPORTED if path.endswith("/export") else 0.0)

    def _refused(self, scope: Scope) -> Response | None:
        """Why this request goes no further, from its head alone."""
        headers, path = Headers(scope=scope), scope["path"]
        if not is_known_host(headers.get("host", ""), (self.settings.host, *self.settings.names)):
            return answer(403, "Forbidden", "The service is not known by this name; start it with --name NAME.")
        if scope["method"] in UNSAFE and not is_same_origin(headers):
            return answer(403, "Forbidden", "Pages of another origin may not change anything here.")
        if path not in OPEN and self.settings.token is not None:
            query = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
            if query and scope["method"] == "GET" and not path.startswith("/v1/"):
                return self._signed_in(path, query[0])
            if not is_token(shown_token(headers), self.settings.token):
                made = answer(
                    401, "Unauthorized", "Show the token: Authorization: Bearer TOKEN, or open /?token=TOKEN."
                )
                made.headers["WWW-Authenticate"] = "Bearer"
                return made
        client = (scope.get("client") or ("",))[0]
        if path not in OPEN and (wait := self.rate.wait(client)):
            made = answer(429, "TooOften", f"Too many requests; try again in {wait:.1f} seconds.")
            made.headers["Retry-After"] = str(max(1, round(wait)))
            return made
        return None

    def _signed_in(self, path: str, token: str) -> Response:
        """The page again, without the token in its address, and with it in a cookie that no script can read."""
        if not is_token(token, self.settings.token or ""):
            return answer(401, "Unauthorized", "This token is wrong.")
        made = RedirectResponse("/" + path.lstrip("/\\"), 303)
        made.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86_400)
        return made

    async def _body(self, scope: Scope, receive: Receive) -> tuple[bytes, JSONResponse | None]:
        """The whole body, or why it is not read."""
        headers, most = Headers(scope=scope), self.limits.body
        large = answer(413, "TooMuch", f"The body has more than {most:,} bytes; send less at a time.")
        declared = headers.get("content-length", "")
        if "expect" in headers and declared.isdecimal() and int(declared) > most:
            return b"", large  # it waits to hear whether it may send
        parts, length = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"", answer(400, "BadRequest", "The body ended early.")
            length += len(message.get("body", b""))
            # Most clients read the answer only when they have sent everything, so some of it is read and dropped.
            if length > PATIENCE * most or (length > most and not message.get("more_body", False)):
                return b"", large
            if length <= most:
                parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        body = b"".join(parts)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return body, refuse_shape(scope["path"], kind, body, self.limits.depth)


def _said(body: bytes, receive: Receive) -> Receive:
    """A body that was read, to be read again."""
    waiting: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
