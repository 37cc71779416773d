"""Everything that a running service consists of, started and stopped together."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any, Self

from ..bundle import Bundle, load_bundle
from ..bundle.card import model_card
from .inputs.pictures import drawn
from .inputs.reading import gathered, takes
from .metrics import Metrics
from .model.worker import Worker
from .settings import Settings
from .store.database import database_of
from .store.tasks import TaskStore
from .teaching.exporting import Onnx
from .teaching.quality import curve_of
from .teaching.tasks import Tasks

UNDO_DAYS = 30  # that a deleted task can be restored; it is taken away for good when the service starts after them


@dataclasses.dataclass(frozen=True)
class Service:
    """A bundle, the store of its tasks, and the thread that answers.

    Args:
        settings: it was made with.
        bundle: that is served.
        store: of the tasks.
        worker: that owns the learner.
        explainer: that owns a copy of it, so that explanations, which take seconds, keep nobody else waiting.
        tasks: what can be done.
        metrics: what was done.
        onnx: the learner as a file.
        card: what `GET /v1/bundle` says.
    """

    settings: Settings
    bundle: Bundle
    store: TaskStore
    worker: Worker
    explainer: Worker
    tasks: Tasks
    metrics: Metrics
    onnx: Onnx
    card: dict[str, Any]

    @classmethod
    def started(cls, settings: Settings, metrics: Metrics) -> Self:
        """A service that is ready to answer.

        Raises:
            UserError: the bundle or the store cannot be opened, or the bundle's encoder needs what is not here.
        """
        bundle = load_bundle(settings.bundle)
        bundle.encode(gathered(bundle, []))  # an encoder that cannot be made is better found now
        store = TaskStore(database_of(settings.store))
        store.purge(UNDO_DAYS)
        worker = Worker(
            bundle, store, settings.limits, threads=settings.threads, observe=lambda n: metrics.batch.observe(n)
        )
        explainer = Worker(_twin(bundle), store, settings.limits, threads=settings.threads)
        for one in (worker, explainer):
            one.start()
        metrics.watch("quickstudy_waiting", "Requests that wait for the learner.", lambda: worker.waiting)
        metrics.watch("quickstudy_cached_bytes", "States in memory.", lambda: worker.cache.bytes)
        tasks = Tasks(bundle, store, worker, settings.limits)
        onnx, card = Onnx(settings.bundle), card_of(bundle, settings)
        return cls(settings, bundle, store, worker, explainer, tasks, metrics, onnx, card)

    def stop(self) -> None:
        """Finish what was accepted, then let go of everything."""
        self.worker.stop()
        self.explainer.stop()
        self.tasks.close()
        self.store.database.close()


def _twin(bundle: Bundle) -> Bundle:
    """The bundle with a learner of its own: inner loops put a task's weights into its modules for a moment."""
    made = dataclasses.replace(bundle, learner=copy.deepcopy(bundle.learner))
    made.__dict__["encoder"] = bundle.encoder  # which only ever reads
    return made


def card_of(bundle: Bundle, settings: Settings) -> dict[str, Any]:
    """What a bundle is, as JSON; `limits` and `text` are those of its model card."""
    about, name = bundle.about, settings.bundle.resolve().name
    text = model_card(name, bundle.learner, {**bundle.recipe, **about}, _as_text(bundle.result))
    limits = text.partition("## Limits")[2].partition("##")[0]
    encoder = getattr(bundle.encoder, "numeric", ()), getattr(bundle.encoder, "categorical", ())
    columns = [scale.name for scale in encoder[0]] + [known for known, _ in encoder[1]]
    return {
        "name": bundle.recipe.get("title") or name,
        "learner": str(bundle.recipe["learner"]["name"]),
        "kind": bundle.kind,
        "takes": takes(bundle),
        "feature": list(bundle.feature),
        "drawn": drawn(bundle),
        "columns": columns,
        "modality": bundle.modality,
        "classes": list(() if bundle.learner.class_equivariant else about["input"].get("classes", ())),
        "result": _judged(bundle.result),
        "audit": (bundle.result or {}).get("audit"),
        "curve": {str(shots): value for shots, value in curve_of(bundle.result).items()},
        "limits": [line[2:].strip() for line in limits.splitlines() if line.startswith("- ")],
        "trained_on": dict(bundle.recipe.get("source", {})),
        "version": str(about["quickstudy"]),
        "created": str(about["created"]),
        "text": text,
    }


def _as_text(result: dict[str, Any] | None) -> str | None:
    return None if result is None else json.dumps(result)


def _judged(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """The result without what is one number a task."""
    return None if result is None else {k: v for k, v in result.items() if k not in ("values", "episodes")}
