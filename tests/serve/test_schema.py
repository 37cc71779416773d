"""The OpenAPI document is the contract: no request that it allows, or nearly allows, breaks the service."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import examples
from .test_tasks import made

CASES = int(os.environ.get("QUICKSTUDY_CASES", "160"))  # 2,000 were asked once: about six minutes


def sent(client: Any, case: Any) -> Any:
    """The answer to a request that was made up; None to one that no client would send."""
    import requests

    asked = case.as_transport_kwargs(base_url="http://127.0.0.1")
    asked = {name: asked[name] for name in ("method", "url", "headers", "params", "json", "data") if name in asked}
    try:
        ready = requests.Request(**asked).prepare()
        return client.request(ready.method, ready.url, headers=dict(ready.headers), content=ready.body)
    except (requests.RequestException, UnicodeError):
        return None


def test_requests_made_from_the_schema(started: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: pip install schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from hypothesis.errors import Unsatisfiable

    from quickstudy.serve.settings import Limits
    from quickstudy.serve.teaching import exporting

    monkeypatch.setattr(exporting, "_apart", lambda folder: b"")  # takes seconds, and is not what is tested here
    client = started(limits=dataclasses.replace(Limits(), deadline=60.0))
    task = made(client, examples=examples(3, 2))["id"]
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    each = max(1, CASES // len(operations))
    broken: list[str] = []
    for operation in operations:
        for mode in schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE:

            @settings(
                max_examples=each, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode), ours=st.booleans())
            def ask(case: Any, ours: bool) -> None:
                if ours and "task" in (case.path_parameters or {}):
                    case.path_parameters["task"] = task
                answer = sent(client, case)
                if answer is not None and answer.status_code >= 500:
                    broken.append(f"{case.method} {case.path} {case.body!r} {answer.status_code} {answer.text}")

            with contextlib.suppress(Unsatisfiable):  # of a path without parameters no request is wrong
                ask()
    assert not broken, broken[:3]
    assert client.get("/readyz").status_code == 200
