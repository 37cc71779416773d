"""Rows from a path, whatever lies there: images in folders, a table, or series in a long table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import UserError
from ..cells.table import column_names
from ..images import MOST_PIXELS
from .images import read_images
from .rows import Rows
from .series import read_series
from .tables import read_table


def read_rows(
    path: str | Path,
    *,
    task: str | Sequence[str] | None = None,
    label: str | None = None,
    text: str | None = None,
    image: str | None = None,
    smiles: str | None = None,
    id: str | None = None,
    time: str | None = None,
    values: Sequence[str] | None = None,
    group: str | None = None,
    kind: str | None = None,
    most_pixels: int = MOST_PIXELS,
) -> Rows:
    """What a user's folder or file holds: `read_images` of a folder, `read_series` with id and time, or `read_table`.

    Args:
        path: a folder of images (class/image, task/class/image), or a CSV or Parquet file, which `label` goes with.
        task: see `read_table`, as for label, text, image, smiles, group and kind.
        id: see `read_series`, as for time and values.
        most_pixels: images with more are left out.

    Raises:
        UserError: options that do not go together or with what lies there, and all that these three raise.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "mood.csv")
    ...     written = file.write_text("user;words;mood\\na;up;good\\na;low;bad\\nb;top;good\\nb;down;bad\\n")
    ...     print(read_rows(file, task="user", label="mood", text="words").account())
    mood: 4 rows of text, a classification
    tasks     2, of 2 to 2 rows (median 2): a, b
    classes   2, of 2 to 2 rows (median 2); most often 'bad' (50%): bad, good
    note      columns are separated by semicolons
    note      the label is a word with 2 different values: a classification
    note      4 classes have one example in their task, 'bad' in 'a' for one
    """
    inputs = {"text": text, "image": image, "smiles": smiles}
    times = {"id": id, "time": time}
    others = {"task": task, "label": label, **inputs, **times, "values": values, "group": group}
    if Path(path).is_dir():
        given = [option for option, column in others.items() if column is not None]
        if given or kind == "regression":
            raise UserError(
                f"{path} is a folder of images, whose classes and tasks are its folders; {', '.join(given) or 'kind'}"
                f" say{'s' * (len(given) < 2)} what a table holds. Leave that out, or name the table."
            )
        return read_images(path, most_pixels=most_pixels)
    if label is None:
        named = ", ".join(f"'{name}'" for name in column_names(path))
        raise UserError(f"Which column of {path} is to be predicted? Give it as label; there are {named}.")
    if id is None and time is None:
        if values is not None:
            raise UserError("Values are the channels of series, which take id and time too; a table is read as it is.")
        return read_table(path, task=task, label=label, **inputs, group=group, kind=kind, most_pixels=most_pixels)
    lacking = [option for option, column in times.items() if column is None]
    wrong = [option for option, column in inputs.items() if column is not None]
    if lacking or id is None or time is None:
        raise UserError(f"Series need the columns of id and time; {lacking[0]} is missing.")
    if wrong:
        raise UserError(f"Series are made of numbers (values), so {' and '.join(wrong)} cannot go with id and time.")
    return read_series(path, task=task, label=label, id=id, time=time, values=values, group=group, kind=kind)
