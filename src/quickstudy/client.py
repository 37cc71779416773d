"""A client of `quickstudy serve`, with nothing but Python's standard library."""

from __future__ import annotations

import base64
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import QuickstudyError, UserError

AGAIN = (429, 503)  # statuses after which a request may be sent again: nothing was done
ATTEMPTS = 4


class Client:
    """The tasks of a service.

    Inputs are what its bundle reads: numbers (lists, arrays or tensors), texts, rows as dicts; a picture is the `Path`
    of a file, or its bytes. A request that the service is too busy for is sent again, up to three times.

    Args:
        url: of the service.
        token: where it asks for one.
        timeout: seconds to wait for an answer.

    Raises:
        UserError: in every method, what the service refuses: its own sentence.
        QuickstudyError: in every method, a service that cannot be reached, or fails.

    A task is taught and asked like this::

        client = Client("http://127.0.0.1:8000")
        task = client.make("birds", [(Path("a.png"), "owl"), (Path("b.png"), "lark")])
        client.ask(task["id"], [Path("c.png")])[0]["answer"]
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, timeout: float = 30.0):
        self.url, self.token, self.timeout = url.rstrip("/"), token, timeout
        if urllib.parse.urlsplit(self.url).scheme not in ("http", "https"):
            raise UserError(f"The address of a service begins with http:// or https://, not '{url}'.")

    def bundle(self) -> dict[str, Any]:
        """What the learner is, what it takes, and how it was judged."""
        return self._json("GET", "/v1/bundle")

    def tasks(self, search: str = "", *, offset: int = 0, limit: int = 50) -> list[dict[str, Any]]:
        """The tasks whose name holds `search`, the last changed first."""
        query = urllib.parse.urlencode({"search": search, "offset": offset, "limit": limit})
        found: list[dict[str, Any]] = self._json("GET", f"/v1/tasks?{query}")["tasks"]
        return found

    def make(
        self, name: str, examples: Iterable[tuple[Any, Any]] = (), *, classes: Sequence[str] = ()
    ) -> dict[str, Any]:
        """A new task, from (input, label) pairs."""
        body = {"name": name, "classes": list(classes), "examples": _examples(examples)}
        return self._json("POST", "/v1/tasks", body)

    def show(self, task: str) -> dict[str, Any]:
        """A task with its examples and its history."""
        return self._json("GET", _path(task))

    def teach(self, task: str, examples: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        """The task with more examples, (input, label) pairs, which it has learned already."""
        return self._json("POST", _path(task, "examples"), {"examples": _examples(examples)})

    def forget(self, task: str, example: str) -> dict[str, Any]:
        """The task without one of its examples."""
        return self._json("DELETE", _path(task, "examples", example))

    def change(
        self,
        task: str,
        name: str | None = None,
        *,
        rename: Mapping[str, str] | None = None,
        add: Sequence[str] = (),
        drop: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The task under another name, with classes renamed (old -> new), added, or dropped with their examples."""
        body = {"rename": dict(rename or {}), "add": list(add), "drop": list(drop)}
        return self._json("PATCH", _path(task), body | ({} if name is None else {"name": name}))

    def delete(self, task: str) -> None:
        """Hide a task until it is restored."""
        self._send("DELETE", _path(task))

    def restore(self, task: str) -> dict[str, Any]:
        """A task that was deleted."""
        return self._json("POST", _path(task, "restore"))

    def ask(self, task: str, x: Sequence[Any], *, unsure_below: float | None = None) -> list[dict[str, Any]]:
        """An answer to each question: `answer`, `confidence`, `probabilities`, `unsure`; or `value` and `deviation`."""
        body = {"x": [_input(one) for one in x]} | _given(unsure_below)
        answers: list[dict[str, Any]] = self._json("POST", _path(task, "predict"), body)["answers"]
        return answers

    def answer(
        self, examples: Iterable[tuple[Any, Any]], x: Sequence[Any], *, unsure_below: float | None = None
    ) -> list[dict[str, Any]]:
        """Answers from examples that the service does not keep."""
        body = {"examples": _examples(examples), "x": [_input(one) for one in x]} | _given(unsure_below)
        answers: list[dict[str, Any]] = self._json("POST", "/v1/predict", body)["answers"]
        return answers

    def explain(self, task: str, x: Any) -> dict[str, Any]:
        """What the answer to one question rests on."""
        return self._json("POST", _path(task, "explain"), {"x": _input(x)})

    def quality(self, task: str) -> dict[str, Any]:
        """How good a task is by leave-one-out on its own examples, with an interval."""
        return self._json("GET", _path(task, "quality"))

    def export(self, task: str, format: str = "json") -> bytes:
        """The task as a file: 'json', 'state' or 'onnx'."""
        return self._send("GET", _path(task, f"export?format={format}"))

    def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._send(method, path, body))
        return found

    def _send(self, method: str, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        for left in reversed(range(ATTEMPTS)):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                    content: bytes = answer.read()
                    return content
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in AGAIN or not left:
                        raise _refusal(error.code, error.read()) from None
                time.sleep(float(error.headers.get("Retry-After") or 1))
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                raise QuickstudyError(f"The service at {self.url} cannot be reached: {reason}.") from error
        raise AssertionError("the last attempt returns or raises")


def _refusal(status: int, body: bytes) -> QuickstudyError:
    try:
        words = str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        words = f"The service answered {status}."
    return UserError(words) if 400 <= status < 500 else QuickstudyError(words)


def _path(*parts: str) -> str:
    *quoted, last = parts
    head, mark, query = last.partition("?")
    return "/".join(["/v1/tasks", *(urllib.parse.quote(p, safe="") for p in (*quoted, head))]) + mark + query


def _given(unsure_below: float | None) -> dict[str, Any]:
    return {} if unsure_below is None else {"unsure_below": unsure_below}


def _examples(examples: Iterable[tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [{"x": _input(x), "y": _plain(y)} for x, y in examples]


def _input(x: Any) -> Any:
    """An input as JSON."""
    if isinstance(x, Path):
        x = x.read_bytes()
    if isinstance(x, bytes):
        return {"image": base64.b64encode(x).decode()}
    return _plain(x)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
