"""`quickstudy export`: a learner, or a task it has learned, as a file that runs without quickstudy."""

from __future__ import annotations

from pathlib import Path

import click

from ..bundle import load_bundle
from ..errors import UserError
from ..export import Exported, export_bundle, export_state
from ..export.files import FORMATS
from ..export.graphs import PARTS
from ..state import load_state
from .output import as_json, emit

SIZES = {
    "examples": "Number of support examples, for learners whose graph is another for each.",
    "ways": "Number of classes, likewise.",
    "queries": "Number of queries, likewise.",
}


@click.command("export")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--format", type=click.Choice(FORMATS), default="onnx", show_default=True, help="torch: torch.export.")
@click.option("--part", type=click.Choice(PARTS), default="task", show_default=True, help="task: adapts and answers.")
@click.option("--state", type=click.Path(path_type=Path), help="A state that `adapt` made: answers that task alone.")
@click.option("--examples", type=click.IntRange(1), help=SIZES["examples"])
@click.option("--ways", type=click.IntRange(1), help=SIZES["ways"])
@click.option("--queries", type=click.IntRange(1), help=SIZES["queries"])
@click.option(
    "--targets", type=click.IntRange(1), default=1, show_default=True, help="Numbers that a regression gives."
)
@as_json
def export_command(
    bundle: Path,
    out: Path,
    format: str,
    part: str,
    state: Path | None,
    examples: int | None,
    ways: int | None,
    queries: int | None,
    targets: int,
    as_json: bool,
) -> None:
    """Write the learner of BUNDLE as a graph: adapting and answering, for any number of examples, classes and queries.

    It is checked against torch on tasks of many sizes before it is written. onnxruntime runs it without torch.

    \b
    quickstudy export study/bundle --out learner.onnx
    quickstudy export study/bundle --state next-task.state --out next-task.onnx
    """
    loaded = load_bundle(bundle)
    if state is None:
        sizes = {"examples": examples, "ways": ways, "queries": queries}
        made = export_bundle(loaded, out, format=format, part=part, targets=targets, **sizes)
    elif part != "task" or examples is not None or ways is not None:
        raise UserError("--state is a task that was learned: --part, --examples and --ways have no say in it.")
    else:
        made = export_state(loaded, *load_state(state, loaded.learner.State), out, format=format, queries=queries)
    plain = {
        "path": str(made.path),
        "bytes": made.size,
        "inputs": made.inputs,
        "outputs": made.outputs,
        "difference": made.difference,
    }
    emit(plain, _said(made), as_json)


def _said(made: Exported) -> str:
    inputs = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in made.inputs.items())
    lines = [
        f"Wrote {made.path} ({made.size:,} bytes): {inputs} -> {', '.join(made.outputs)}",
        f"It answers as the learner does: the largest difference was {made.difference:.0e}.",
    ]
    return "\n".join(lines)
