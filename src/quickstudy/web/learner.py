"""The bundle's card: what it was trained on, how good it is with how many examples, whether it was audited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ..errors import BadFile
from ..evaluation.result import Result
from ..report.charts.curves import curves

Plain = Mapping[str, Any]


def facts(card: Plain) -> dict[str, Any]:
    """What the page shows of a card beside the card itself.

    Args:
        card: what `GET /v1/bundle` answers.

    Returns:
        judged: the result in a sentence, None where there is none; curve: SVG, '' where nothing is known of other
        numbers of examples; trained_on: (what, value) pairs.
    """
    trained = card["trained_on"]
    return {
        "judged": _judged(card["result"]),
        "curve": _curve(card),
        "trained_on": list(trained.items()) if isinstance(trained, Mapping) else [("tasks", trained)] * bool(trained),
    }


def _judged(result: Plain | None) -> str | None:
    if result is None:
        return None
    try:
        return str(Result.from_json({"values": [], "episodes": []} | dict(result)))  # a card is without them
    except BadFile:  # a table of its user's own
        return ", ".join(f"{key} {value}" for key, value in result.items() if isinstance(value, str | int | float))


def _curve(card: Plain) -> Markup:
    """Accuracy by shots. `curves` escapes what it is given."""
    known = (card["result"] or {}).get("by_shots") or card["curve"] or {}  # the first has intervals
    points = sorted((float(k), *_pair(pair)) for k, pair in known.items() if _pair(pair)[0] is not None)
    if len(points) < 2:
        return Markup("")
    accuracy = card["kind"] == "classification"
    ends = [v + sign * (h or 0.0) for _, v, h in points for sign in (-1, 1)]
    low, high = (min(max(0.0, 10 * (min(ends) // 10)), 90.0), 100.0) if accuracy else (0.0, max(ends))
    return Markup(
        curves(
            [("", [(k, v, h or 0.0) for k, v, h in points], "chosen")],
            xlabel=f"examples of {'each class' if accuracy else 'a task'}",
            ylabel="right answers, %" if accuracy else "mean squared error",
            low=low,
            high=high,
            log=True,
        )
    )


def _pair(pair: Any) -> tuple[Any, Any]:
    return (pair[0], pair[1]) if isinstance(pair, list | tuple) else (pair, None)
