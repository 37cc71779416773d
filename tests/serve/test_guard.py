"""What must never get through: other hosts and origins, missing tokens, bodies and paths that are meant to do harm."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quickstudy.errors import BadFile
from quickstudy.serve.http.tokens import token_hash, token_of
from quickstudy.serve.running import serve
from quickstudy.serve.settings import Limits, Settings

from .conftest import examples, vector
from .test_tasks import error, made

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost@evil", "["]
)
def test_another_host_is_refused(client: Any, host: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert error(client.request(method, "/v1/tasks", headers={"Host": host}))[:2] == (403, "Forbidden")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:81"},
                {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_another_origin_changes_nothing(client: Any, method: str, headers: dict[str, str]) -> None:
    assert client.request(method, "/v1/tasks", headers=headers).status_code == 403
    assert client.get("/v1/tasks").json()["total"] == 0


def test_our_own_page_may(client: Any) -> None:
    headers = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/tasks", json={}, headers=headers).status_code == 201


def test_a_token_is_asked_for(started: Callable[..., Any]) -> None:
    client = started(token=token_hash("right"), names=("study.example",))
    assert client.get("/healthz").status_code == 200
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic right"},
        {"Cookie": "quickstudy-token=x"},
    ):
        for path in ("/", "/v1/tasks", "/metrics", "/openapi.json", "/assets/none"):
            assert error(client.get(path, headers=headers))[:2] == (401, "Unauthorized")
    assert client.get("/v1/tasks", headers={"Authorization": "Bearer right"}).status_code == 200
    assert (
        client.get("/v1/tasks", headers={"Authorization": "Bearer right", "Host": "study.example"}).status_code == 200
    )
    assert client.get("/?token=wrong", follow_redirects=False).status_code == 401
    entered = client.get("/tasks/x?token=right", follow_redirects=False)
    cookie = entered.headers["set-cookie"].lower()
    assert entered.status_code == 303 and entered.headers["location"] == "/tasks/x"
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert client.get("/%2fevil.example/?token=right", follow_redirects=False).headers["location"] == "/evil.example/"
    assert client.get("/v1/tasks").status_code == 200  # the cookie is kept


def test_a_token_is_kept_as_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "token"
    kept, token = token_of(file)
    assert token is not None and len(token) > 40 and kept == token_hash(token)
    assert token not in file.read_text() and file.stat().st_mode & 0o77 == 0
    assert token_of(file) == (kept, None)
    file.write_text("secret")
    with pytest.raises(BadFile, match="holds no token's hash"):
        token_of(file)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "study.example"])
def test_other_addresses_need_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="--token-file"):
        serve(Settings(tmp_path, "sqlite:///x.db", host=host))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b'{"name": }', 400), (b"[" * 100_000, 400), (b'{"a":' * 25 + b"1" + b"}" * 25, 400),
        (b"nul", 400),
        (b'{"examples": [{"x": NaN, "y": "a"}]}', 400), (b'{"examples": [{"x": [1e999], "y": "a"}]}', 422),
        (b"\xff\xfe", 400), (b"[]", 422), (b"null", 422), (b'{"nam": "x"}', 422), (b'{"name": ""}', 422),
        (b'{"name": "' + b"x" * 201 + b'"}', 422), (b'{"name": "a\\u0000b"}', 422), (b'{"name": "\\ud800"}', 422),
        (b'{"name": 7}', 422), (b'{"classes": ["\\n"]}', 422), (b'{"examples": [{"x": [], "y": {}}]}', 422),
    ],
)  # fmt: skip
def test_bodies_that_are_refused(client: Any, body: bytes, status: int) -> None:
    answer = client.post("/v1/tasks", content=body, headers=JSON)
    assert answer.status_code == status and set(answer.json()["error"]) == {"kind", "message"}
    assert client.get("/v1/tasks").json()["total"] == 0


def test_bodies_of_another_type(client: Any) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert client.post("/v1/tasks", content=b"{}", headers={"Content-Type": kind}).status_code == 415


def test_large_bodies_are_not_read(started: Callable[..., Any]) -> None:
    client = started(limits=dataclasses.replace(Limits(), body=1_000))
    assert error(client.post("/v1/tasks", content=b"x" * 2_000, headers=JSON))[:2] == (413, "TooMuch")

    def endless() -> Any:
        for _ in range(100):
            yield b"x" * 100

    assert error(client.post("/v1/tasks", content=endless(), headers=JSON))[:2] == (413, "TooMuch")
    assert client.post("/v1/tasks", content=b'{"name": "ok"}', headers=JSON).status_code == 201


def test_limits_of_a_task(started: Callable[..., Any]) -> None:
    client = started(limits=dataclasses.replace(Limits(), rows=6, examples=8, classes=3))
    assert error(client.post("/v1/tasks", json={"examples": examples(4, 1)}))[:2] == (413, "TooMuch")
    assert error(client.post("/v1/tasks", json={"examples": examples(2, 4)}))[:2] == (413, "TooMuch")
    task = made(client, examples=examples(3, 2))["id"]
    assert client.post(f"/v1/tasks/{task}/examples", json={"examples": examples(3, 1, seed=1)}).status_code == 413
    assert client.post(f"/v1/tasks/{task}/predict", json={"x": [vector(0)] * 7}).status_code == 413
    assert client.get(f"/v1/tasks/{task}").json()["examples"] == 6


def test_one_client_does_not_ask_too_often(started: Callable[..., Any]) -> None:
    client = started(limits=dataclasses.replace(Limits(), rate=3.0))
    found = [client.get("/v1/tasks") for _ in range(12)]  # the test client has no address of this machine
    assert [a.status_code for a in found[:6]] == [200] * 6
    late = next(a for a in found if a.status_code == 429)
    assert error(late)[1] == "TooOften" and int(late.headers["retry-after"]) >= 1
    assert client.get("/healthz").status_code == 200


def test_headers_of_every_answer(client: Any) -> None:
    for path in ("/", "/v1/tasks", "/nothing", "/healthz"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff" and "server" not in headers


TRICKS = st.lists(
    st.sampled_from(["..", "%2e%2e", "..%2f", "%2f", "\\", "%5c", "%00", "etc", "passwd", "~", "%", "a" * 300, "é"]),
    min_size=1, max_size=8,
)  # fmt: skip


def test_no_path_leads_out(client: Any) -> None:
    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(TRICKS, st.sampled_from(["/", "/assets/", "/v1/tasks/", "/tasks/", "/runs/"]))
    def tried(parts: list[str], base: str) -> None:
        answer = client.get(base + "/".join(parts))
        assert answer.status_code < 500 and b"root:" not in answer.content
        assert answer.status_code in (200, 400, 404) and "Traceback" not in answer.text
        if answer.status_code == 200:
            assert str(answer.url.path) in ("/", "/v1/tasks", "/runs") or answer.url.path.startswith("/tasks/")

    tried()


def test_nothing_is_fetched(started: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    client = started()
    called: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: called.append(address))
    url = "http://127.0.0.1:9/x.png"
    task = made(client, name=url, examples=examples(2, 1))["id"]
    for x in (url, {"image": url}, {"url": url}, {"image": f"file:///{url}"}):
        assert client.post(f"/v1/tasks/{task}/predict", json={"x": [x]}).status_code == 422
    assert called == []


def test_errors_say_nothing_of_this_machine(client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    task = made(client, examples=examples(2, 1))["id"]

    def broken(*_: Any) -> Any:
        raise RuntimeError(f"secret {tmp_path}")

    monkeypatch.setattr(client.app.state.service.worker.batched, "predict", broken)
    answer = client.post(f"/v1/tasks/{task}/predict", json={"x": [vector(0)]})
    assert answer.status_code == 500 and "secret" not in answer.text and str(tmp_path) not in answer.text
    assert "Traceback" not in answer.text
    monkeypatch.undo()
    assert client.post(f"/v1/tasks/{task}/predict", json={"x": [vector(0)]}).status_code == 200
