"""Tasks over HTTP: taught, asked, corrected, renamed, deleted, exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from quickstudy.bundle import load_bundle
from quickstudy.state import load_state

from .conftest import examples, vector


def made(client: Any, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/tasks", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def answers(client: Any, task: str, *x: Any, **more: Any) -> list[dict[str, Any]]:
    answer = client.post(f"/v1/tasks/{task}/predict", json={"x": list(x), **more})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["answers"]
    return found


def error(answer: Any) -> tuple[int, str, str]:
    told = answer.json()["error"]
    return answer.status_code, told["kind"], told["message"]


def test_a_task_is_taught_and_asked(client: Any, bundles: Path) -> None:
    given = examples(3, 2)
    task = made(client, name="Birds", examples=given)
    assert task["ready"] and task["examples"] == 6 and task["version"] == 1
    bundle = load_bundle(bundles / "vectors")
    state, envelope = bundle.adapt(torch.tensor([e["x"] for e in given]), [e["y"] for e in given])
    right = bundle.predict(state, envelope, torch.tensor([vector(c, 50) for c in range(3)]))
    told = answers(client, task["id"], *[vector(c, 50) for c in range(3)])
    assert [a["answer"] for a in told] == list(right.names)
    assert right.probabilities is not None
    for row, answer in zip(right.probabilities.tolist(), told, strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(row, abs=1e-6)
        assert answer["confidence"] == max(answer["probabilities"].values())


def test_unsure_is_half_way_from_chance_to_certain(client: Any) -> None:
    task = made(client, examples=examples(2, 1))
    x = vector(0, 9)
    (answer,) = answers(client, task["id"], x)
    assert answer["unsure"] == (answer["confidence"] < 0.75)
    assert not answers(client, task["id"], x, unsure_below=0)[0]["unsure"]
    assert answers(client, task["id"], x, unsure_below=1)[0]["unsure"]


def test_a_task_says_what_it_still_needs(client: Any) -> None:
    task = made(client, classes=["owl", "lark"])
    assert [c["name"] for c in task["classes"]] == ["owl", "lark"] and not task["ready"]
    assert error(client.post(f"/v1/tasks/{task['id']}/predict", json={"x": [vector(0)]}))[:2] == (
        422,
        "NotEnoughExamples",
    )
    one = client.post(f"/v1/tasks/{task['id']}/examples", json={"examples": [{"x": vector(0), "y": "owl"}]}).json()
    assert not one["ready"] and "second class" in one["why_not"]
    two = client.post(f"/v1/tasks/{task['id']}/examples", json={"examples": [{"x": vector(1), "y": "lark"}]}).json()
    assert two["ready"] and answers(client, task["id"], vector(1, 3))[0]["answer"] == "lark"


def test_a_wrong_example_is_taken_away_again(client: Any) -> None:
    task = made(client, examples=[*examples(2, 3), {"x": vector(0), "y": "class 1"}])["id"]
    whole = client.get(f"/v1/tasks/{task}").json()
    wrong = whole["items"][-1]
    assert wrong["y"] == "class 1" and not wrong["has_picture"] and wrong["text"].count(", ") >= 3
    client.delete(f"/v1/tasks/{task}/examples/{wrong['id']}")
    clean = made(client, examples=examples(2, 3))["id"]
    assert answers(client, task, vector(0, 7)) == answers(client, clean, vector(0, 7))
    assert client.delete(f"/v1/tasks/{task}/examples/{wrong['id']}").status_code == 404


def test_classes_and_tasks_are_renamed(client: Any) -> None:
    task = made(client, name="old", examples=examples(3, 2))["id"]
    before = answers(client, task, vector(2, 8))[0]
    body = {"name": " new ", "rename": {"class 2": "a first"}}
    found = client.patch(f"/v1/tasks/{task}", json=body).json()
    assert found["name"] == "new" and [c["name"] for c in found["classes"]] == ["class 0", "class 1", "a first"]
    after = answers(client, task, vector(2, 8))[0]
    assert (before["answer"], after["answer"]) == ("class 2", "a first")
    assert after["probabilities"]["a first"] == pytest.approx(before["probabilities"]["class 2"], abs=1e-6)
    assert error(client.patch(f"/v1/tasks/{task}", json={"rename": {"class 0": "class 1"}}))[0] == 409
    assert error(client.patch(f"/v1/tasks/{task}", json={"rename": {"none": "x"}}))[0] == 404
    swapped = client.patch(f"/v1/tasks/{task}", json={"rename": {"class 0": "class 1", "class 1": "class 0"}})
    assert swapped.status_code == 200
    assert answers(client, task, vector(0, 8))[0]["answer"] == "class 1"


def test_classes_come_and_go(client: Any) -> None:
    task = made(client, examples=examples(3, 2))["id"]
    found = client.patch(
        f"/v1/tasks/{task}", json={"add": ["new"], "drop": ["class 1"], "rename": {"class 2": "two"}}
    ).json()
    assert [(c["name"], c["examples"]) for c in found["classes"]] == [("class 0", 2), ("two", 2), ("new", 0)]
    assert set(answers(client, task, vector(1, 8))[0]["probabilities"]) == {"class 0", "two"}
    whole = client.get(f"/v1/tasks/{task}").json()
    assert len(whole["items"]) == 4 and whole["history"][-1]["what"] == (
        "'class 2' called 'two'; given the class 'new'; 'class 1' taken away"
    )
    assert error(client.patch(f"/v1/tasks/{task}", json={"add": ["two"]}))[0] == 409
    assert error(client.patch(f"/v1/tasks/{task}", json={"drop": ["class 1"]}))[0] == 404
    assert not client.patch(f"/v1/tasks/{task}", json={"drop": ["two"]}).json()["ready"]


def test_a_deleted_task_comes_back_as_it_was(client: Any) -> None:
    task = made(client, examples=examples(2, 2))["id"]
    before = answers(client, task, vector(1, 4))
    assert client.delete(f"/v1/tasks/{task}").status_code == 204
    for path in ("", "/quality", "/export"):
        assert client.get(f"/v1/tasks/{task}{path}").status_code == 404
    assert client.post(f"/v1/tasks/{task}/predict", json={"x": [vector(0)]}).status_code == 404
    assert client.get("/v1/tasks").json()["total"] == 0
    assert client.delete(f"/v1/tasks/{task}").status_code == 404
    assert client.post(f"/v1/tasks/{task}/restore").status_code == 200
    assert answers(client, task, vector(1, 4)) == before
    assert [e["what"] for e in client.get(f"/v1/tasks/{task}").json()["history"]][1:] == ["deleted", "restored"]


def test_tasks_are_found_by_name_and_paged(client: Any) -> None:
    for name in ("100% owls", "100 owls", "Larks_1", "Larks 1"):
        made(client, name=name)
    assert [t["name"] for t in client.get("/v1/tasks", params={"search": "100%"}).json()["tasks"]] == ["100% owls"]
    assert client.get("/v1/tasks", params={"search": "larks_"}).json()["total"] == 1
    page = client.get("/v1/tasks", params={"offset": 1, "limit": 2}).json()
    assert page["total"] == 4 and [t["name"] for t in page["tasks"]] == ["Larks_1", "100 owls"]


def test_exports_are_usable(client: Any, bundles: Path, tmp_path: Path) -> None:
    task = made(client, name="Birds", examples=examples(3, 2))["id"]
    (tmp_path / "task.state").write_bytes(client.get(f"/v1/tasks/{task}/export", params={"format": "state"}).content)
    bundle = load_bundle(bundles / "vectors")
    state, envelope = load_state(tmp_path / "task.state", bundle.learner.State)
    told = answers(client, task, vector(1, 6))
    right = bundle.predict(state, envelope, torch.tensor([vector(1, 6)]))
    assert right.names == (told[0]["answer"],)
    again = client.post("/v1/tasks", json=client.get(f"/v1/tasks/{task}/export").json()).json()
    assert answers(client, again["id"], vector(1, 6)) == told


def test_answers_without_a_task(client: Any) -> None:
    body = {"examples": examples(3, 2), "x": [vector(2, 5)]}
    told = client.post("/v1/predict", json=body).json()["answers"]
    task = made(client, examples=examples(3, 2))["id"]
    assert told[0]["answer"] == answers(client, task, vector(2, 5))[0]["answer"]
    assert told[0]["probabilities"] == pytest.approx(answers(client, task, vector(2, 5))[0]["probabilities"], abs=1e-6)
    one = {"examples": examples(1, 2), "x": [vector(0)]}
    assert error(client.post("/v1/predict", json=one))[:2] == (422, "NotEnoughExamples")


def test_many_tasks_in_one_request(client: Any) -> None:
    tasks = [made(client, examples=examples(2 + i % 3, 1 + i % 2, seed=i))["id"] for i in range(9)]
    requests = [{"task": t, "x": [vector(i % 2, 30 + i)]} for i, t in enumerate(tasks)] + [
        {"task": "none", "x": [vector(0)]}
    ]
    results = client.post("/v1/predict/batch", json={"requests": requests}).json()["results"]
    assert results.pop()["error"]["kind"] == "NoSuchTask"
    for request, result in zip(requests, results, strict=False):
        (alone,) = answers(client, request["task"], *request["x"])
        assert result["answers"][0]["answer"] == alone["answer"]
        assert result["answers"][0]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-6)


def test_quality_is_leave_one_out(client: Any, bundles: Path) -> None:
    given = [*examples(3, 3), {"x": vector(0, 40), "y": "class 1"}, {"x": vector(5), "y": "alone"}]
    task = made(client, examples=given)["id"]
    found = client.get(f"/v1/tasks/{task}/quality").json()
    bundle = load_bundle(bundles / "vectors")
    right = []
    for i, one in enumerate(given[:-1]):  # the last is the only one of its class
        others = given[:i] + given[i + 1 :]
        state, envelope = bundle.adapt(torch.tensor([e["x"] for e in others]), [e["y"] for e in others])
        right.append(bundle.predict(state, envelope, torch.tensor([one["x"]])).names[0] == one["y"])
    assert found["accuracy"] == pytest.approx(np.mean(right)) and found["examples"] == 10
    assert found["low"] < found["accuracy"] <= found["high"]
    # 11 examples of 4 classes are 2.75 each; from one to five examples the curve rises by 2.5 points each.
    assert found["next_example"]["worth"] == pytest.approx(2.5 / 4) and "alone" in found["next_example"]["sentence"]


def test_an_answer_is_explained(client: Any, bundles: Path) -> None:
    task = made(client, examples=examples(2, 3))["id"]
    found = client.post(f"/v1/tasks/{task}/explain", json={"x": vector(1, 60)}).json()
    items = {i["id"]: i["y"] for i in client.get(f"/v1/tasks/{task}").json()["items"]}
    assert [items[n["example"]] for n in found["nearest"]][:3] == ["class 1"] * 3
    assert {i["example"] for i in found["influence"]} == set(items)
    only = made(client, examples=examples(2, 1))["id"]
    values = client.post(f"/v1/tasks/{only}/explain", json={"x": vector(0)}).json()["influence"]
    assert None in [v["value"] for v in values]  # without its only example there is no such class


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([1.0] * 3, "shaped"), ("owl", "nested numbers"), ([None] * 8, "nested numbers"), ([[1], [1, 2]], "nested"),
        ({"image": "abcd"}, "nested numbers"), ([1e39] * 8, "too large"), ([True] * 8, "nested numbers"),
        ([], "shaped"),
    ],
)  # fmt: skip
def test_inputs_that_are_none(client: Any, x: Any, words: str) -> None:
    task = made(client, examples=examples(2, 1))
    asked = error(client.post(f"/v1/tasks/{task['id']}/predict", json={"x": [vector(0), x]}))
    assert asked[:2] == (422, "BadExamples") and words in asked[2] and "Input 2" in asked[2]
    taught = client.post(f"/v1/tasks/{task['id']}/examples", json={"examples": [{"x": x, "y": "class 0"}]})
    assert error(taught)[0] == 422
    assert client.get(f"/v1/tasks/{task['id']}").json()["version"] == 1


def test_a_task_taught_to_another_learner_is_learned_again(started: Callable[..., Any]) -> None:
    first = started("vectors")
    task = made(first, examples=examples(3, 2))["id"]
    other = started("steps")  # the same store
    assert answers(other, task, vector(1, 5))[0]["answer"] in {"class 0", "class 1", "class 2"}
    assert other.get(f"/v1/tasks/{task}").json()["history"][-1]["what"] == "learned again"
    glyphs = started("glyphs")
    assert error(glyphs.post(f"/v1/tasks/{task}/predict", json={"x": [[0.0]]}))[0] in (409, 422)
