"""Write docs/results.md and which-learner.md from the records in benchmarks/results. No figure is typed by hand.

python docs/make.py            write the pages
python docs/make.py --check    exit with 1 if a page is not what would be written
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import choosing
import describing
import exporting

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results.md"
RESULTS = ROOT / "benchmarks" / "results"
Record = dict[str, Any]

HEAD = """# Results

Written by `python docs/make.py` from the records in `benchmarks/results/`. Do not edit it: run a benchmark, then that.
"""
EMPTY = """
No benchmark has left a record yet, so there is no figure to show. The scripts in [benchmarks](../benchmarks) make them.
"""
READING = """
How to read the tables:

- A figure stands with half the width of its interval; the line under a table says which interval that is. It tells how
  well the trained learner is known, not what another training seed would give. Where there are several seeds, the
  figure is their mean, and what each gave stands behind their number.
- *transductive*: an answer may depend on the other queries of its task; *inductive*: it does not. What batch norm takes
  its statistics over stands behind it. Figures of the two kinds are not of one protocol.
- *budget*: `full` is the length that the recipe says; a run that was stopped earlier says where.
- *published*: the figure of the paper, with its own protocol; a note where there is none to compare with.
- *diverged*: the share of tasks whose answers were worse than the mean of the support targets, or not finite.
- *log-likelihood*: of a target under the distribution it was answered with, in nats; *covered*: the share of targets
  inside the central 90% intervals.
- *queries* are those of one task. *CPU* is processor time as the benchmark counts it, for all seeds together; *peak* is
  the most memory that the process held.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    options = parser.parse_args()
    try:
        records = read(RESULTS)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    made = {
        PAGE: page([r for r in records if r["file"] != "export_onnx"]),  # a page of its own
        PAGE.with_name("which-learner.md"): choosing.page(records, figure),
        PAGE.with_name("which-learner.svg"): choosing.picture(records),
        PAGE.with_name("meta-features.md"): describing.page(),
        PAGE.with_name("export.md"): exporting.page(records),
    }
    stale = [p for p, text in made.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    if not options.check:
        for path, text in made.items():
            path.write_text(text, encoding="utf-8")
        return 0
    for path in stale:
        print(f"docs/{path.name} does not agree with benchmarks/results/; run: python docs/make.py", file=sys.stderr)
    return 1 if stale else 0


def read(folder: Path) -> list[Record]:
    """All records, each with the name of its file under 'file'.

    Raises:
        ValueError: a file that is not a list of records.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not JSON: {error}") from error
        for row in rows if isinstance(rows, list) else [rows]:
            missing = [
                k for k in ("work", "learner", "metric", "value", "ci95") if not isinstance(row, dict) or k not in row
            ]
            if missing:
                raise ValueError(f"A record in {path} has no {', '.join(missing)}; run its benchmark again.")
            records.append(row | {"file": path.stem})
    return records


def page(records: Iterable[Record]) -> str:
    """The whole page."""
    groups: dict[str, dict[str, list[Record]]] = {}
    for row in sorted(records, key=lambda row: natural(row["work"])):
        groups.setdefault(row["work"].split("/")[0], {}).setdefault(row["work"], []).append(row)
    if not groups:
        return HEAD + EMPTY
    parts = [HEAD, READING]
    for group, works in groups.items():
        parts.append(f"\n## {group}\n")
        shown: dict[str, str] = {}  # a curve that fills several cells is shown once
        parts += [section(work, rows, shown) for work, rows in works.items()]
    return "".join(parts)


def section(work: str, rows: list[Record], shown: dict[str, str]) -> str:
    """One work: its table, how it was made, and curves not shown before."""
    columns = [
        "learner",
        "figure",
        "tasks",
        "queries",
        "kind",
        "seeds",
        "budget",
        "published",
        "CPU",
        "peak",
        "date",
        "commit",
    ]
    lines = [f"\n### {work}\n", *table(columns, [cells(row) for row in sorted(rows, key=order)])]
    intervals = sorted({str(row.get("interval", "not recorded")) for row in rows})
    splits = sorted({str(row.get("split", "not recorded")) for row in rows})
    lines += [
        f"\nInterval: {', '.join(intervals)}. Split: {', '.join(splits)}. Made by:\n",
        *sorted({made_by(row) for row in rows}),
    ]
    for row in sorted(rows, key=order):
        lines += curve(row, shown)
    return "\n".join(lines) + "\n"


def cells(row: Record) -> list[str]:
    """One row of a table."""
    return [
        name(row),
        figure(row),
        number(row.get("tasks")),
        number(row.get("queries")),
        kind(row),
        seeds(row),
        str(row.get("budget", "-")),
        str(row.get("published", "-")),
        duration(row.get("cpu_seconds")),
        "-" if row.get("peak_mb") is None else f"{row['peak_mb']:,} MB",
        str(row.get("date", "-")),
        f"`{row['commit']}`" if row.get("commit") else "-",
    ]


def name(row: Record) -> str:
    """The learner, and which variant of the protocol."""
    return f"{row['learner']}, {row['variant']}" if row.get("variant") else str(row["learner"])


def figure(row: Record) -> str:
    """The value with its interval: percent for an accuracy, median and diverged tasks beside an error."""
    value, half = rounded(row["value"], row["ci95"])
    if row["metric"] == "accuracy":
        return f"**{value}%** ± {half}"
    notes = [f"median {rounded(row['median'], row['ci95'])[0]}"] if row.get("median") is not None else []
    notes += [f"{row['diverged']:.1f}% diverged"] if row.get("diverged") is not None else []
    if row.get("coverage90") is not None:
        notes.append(f"log-likelihood {row['log_likelihood']:.3f} a target, {row['coverage90']:.0f}% covered")
    return f"{row['metric']} **{value}** ± {half}" + (f" ({', '.join(notes)})" if notes else "")


def rounded(value: float, half: float | None) -> tuple[str, str]:
    """A number and the half width of its interval, to the digits that the interval leaves meaning to."""
    if half is None or not math.isfinite(half):
        return f"{value:.3g}", "unknown"
    digits = 1 if half == 0 else max(0, -math.floor(math.log10(half)))
    digits = min(max(digits, 1 if abs(value) >= 1 else 2), 6)
    # One digit more than the interval's first where that is a 1: 0.1 could be 0.05 or 0.15.
    digits += half != 0 and half < 1 and f"{half:e}".startswith("1")
    return f"{value:.{digits}f}", f"{half:.{digits}f}"


def kind(row: Record) -> str:
    """Transductive or not, and what batch norm's statistics are taken over."""
    said = {True: "transductive", False: "inductive"}.get(row.get("transductive"), "not recorded")
    policy = row.get("statistics")
    return said if policy in (None, "none") else f"{said}, statistics of {policy}"


def seeds(row: Record) -> str:
    """How many, and what each gave."""
    each = ", ".join(str(value) for value in row.get("by_seed", ()))
    return f"{row.get('seeds', '-')}" + (f" ({each})" if each else "")


def made_by(row: Record) -> str:
    """The command, the machine and the versions."""
    script = f"benchmarks/{row['file']}.py"
    only = f" --only {row['recipe']}" if row.get("recipe") else ""
    command = row.get("command") or (f"python {script}{only}" if (ROOT / script).is_file() else None)
    recipe = f"recipes/{row.get('recipe')}.toml"
    parts = [f"`{command}`" if command else f"`benchmarks/results/{row['file']}.json`, command not recorded"]
    parts += [f"[recipe](../{recipe})"] if (ROOT / recipe).is_file() else []
    parts += [str(row["machine"])] if row.get("machine") else []
    parts += (
        [", ".join(f"{what} {version}" for what, version in row["versions"].items())] if row.get("versions") else []
    )
    return f"- {row['learner']}: {'; '.join(parts)}"


def curve(row: Record, shown: dict[str, str]) -> list[str]:
    """The training curve under a fold, or where it was shown."""
    points = row.get("curve") or []
    if not points:
        return []
    key = json.dumps(points, sort_keys=True)
    if key in shown:
        line = f"\nTraining curve of {row['learner']}: see {shown[key]}."
        return [] if shown[key] == row["work"] else [line]
    shown[key] = row["work"]
    share = row["metric"] == "accuracy"
    flat = [point(p, share=share) for p in points]
    columns = list(dict.fromkeys(column for p in flat for column in p))
    lines = table(columns, [[p.get(column, "") for column in columns] for p in flat])
    title = f"Training curve of {row['learner']}" + (f" ({row['recipe']})" if row.get("recipe") else "")
    return [f"\n<details><summary>{title}</summary>\n", *lines, "\n</details>"]


def point(p: Record, *, share: bool) -> dict[str, str]:
    """One point of a curve: column -> text. Training accuracies are shares there, validation is in percent."""
    said = {"step": number(p.get("step"))}
    spent = p.get("cpu", p.get("seconds"))
    if spent is not None:
        said["CPU" if "cpu" in p else "time"] = duration(spent)
    if p.get("loss") is not None:
        said["training loss"] = f"{p['loss']:.4g}"
    if p.get("metric") is not None:
        said["training accuracy" if share else "training error"] = (
            f"{100 * p['metric']:.1f}%" if share else f"{p['metric']:.4g}"
        )
    if p.get("val") is not None:
        said["validation"] = f"{p['val']:.1f}%" if share else f"{p['val']:.4g}"
    for steps, pair in sorted((p.get("validation_by_steps") or {}).items(), key=lambda item: int(item[0])):
        value, half = rounded(*pair)
        said[f"validation, {steps} {'step' if int(steps) == 1 else 'steps'}"] = f"{value} ± {half}"
    return said


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A markdown table, a line each."""
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def number(value: Any) -> str:
    """With commas between thousands."""
    return f"{value:,.10g}" if isinstance(value, int | float) else "-"


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours."""
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def order(row: Record) -> list[Any]:
    """Learners by name, inductive first."""
    return [str(row["learner"]), bool(row.get("transductive")), str(row.get("variant") or "")]


def natural(text: str) -> list[Any]:
    """A key by which 5-way comes before 20-way."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


if __name__ == "__main__":
    raise SystemExit(main())
