"""Imports only fall: the floors of the house, held."""

from __future__ import annotations

import ast
from pathlib import Path

HOUSE = Path(__file__).parents[1] / "src" / "quickstudy"

FLOOR = {
    "errors": 1, "functional": 1, "nets": 1, "rng": 1, "pytree": 1, "storage": 1,
    "version": 1, "arguments": 1, "catalogue": 1, "machine": 1, "extras": 1,
    "client": 2, "task": 2, "state": 2, "engine": 2, "outputs": 2,
    "learner": 3, "tasks": 3, "encoders": 3,
    "learners": 4, "loops": 4, "evaluation": 4,
    "registry": 5,
    "recipe": 6, "bundle": 6, "contract": 6, "report": 6, "export": 6,
    "study": 7, "estimators": 7, "web": 7,
    "serve": 8,
    "cli": 9,
    "__main__": 10,
}  # fmt: skip

# Rooms of one floor that may look at each other, because the design says so.
SIBLINGS = {
    ("state", "pytree"), ("rng", "errors"), ("storage", "errors"), ("functional", "errors"), ("nets", "errors"),
    ("extras", "errors"), ("engine", "task"), ("bundle", "recipe"), ("encoders", "tasks"), ("export", "bundle"),
}  # fmt: skip


def room(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The rooms that a file imports, `if TYPE_CHECKING` included."""
    depth = len(path.relative_to(HOUSE).parts)
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level == depth:
                parts = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
                rooms.update(parts)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            assert not any(n.split(".")[0] == "quickstudy" for n in names), f"{path} imports the package's own face"
    return rooms


def test_imports_only_fall() -> None:
    files = [p for p in HOUSE.rglob("*.py") if p.name != "__init__.py" or p.parent != HOUSE]
    assert files
    wrong = []
    for path in files:
        here = room(path)
        for there in imported(path) - {here, "__init__"}:
            assert there in FLOOR, f"{path} imports '{there}', which has no floor: add it to FLOOR"
            if FLOOR[there] >= FLOOR[here] and (here, there) not in SIBLINGS:
                wrong.append(f"{path.relative_to(HOUSE)} (floor {FLOOR[here]}) imports {there} (floor {FLOOR[there]})")
    assert not wrong, "\n".join(wrong)


def test_every_room_has_a_floor() -> None:
    rooms = {room(p) for p in HOUSE.rglob("*.py")} - {"__init__"}
    assert rooms <= set(FLOOR), rooms - set(FLOOR)
