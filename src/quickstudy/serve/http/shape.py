"""Bodies that are not parsed: of another type, nested too deep, or with numbers that are none."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse

from .errors import answer

# Strings are one match each, so that brackets in them do not count.
TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|([\[{])|([\]}])|(NaN|Infinity)', re.DOTALL)


def refuse_shape(path: str, kind: str, body: bytes, depth: int) -> JSONResponse | None:
    """Why a body is refused before it is parsed; None where it is not."""
    if not body:
        return None
    if kind == "text/csv" and path.endswith("/examples"):
        return None
    if kind != "application/json":
        return answer(415, "Unsupported", "The body must be application/json, or text/csv for examples.")
    if depth_of(body, depth) > depth:
        return answer(400, "BadRequest", f"The JSON is nested deeper than {depth}, or holds NaN.")
    return None


def depth_of(body: bytes, most: int) -> int:
    """How deep JSON is nested, counted until it is more than `most`; NaN and infinity count as too deep.

    >>> depth_of(b'{"a": [1, "[[["]}', 9), depth_of(b"[NaN]", 9)
    (2, 10)
    """
    deepest = level = 0
    for match in TOKEN.finditer(body):
        if match[1]:
            level += 1
            deepest = max(deepest, level)
        elif match[2]:
            level -= 1
        elif match[3]:
            return most + 1
        if deepest > most:
            break
    return deepest
