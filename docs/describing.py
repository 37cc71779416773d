"""The page of meta-features, written from the docstrings of the functions that compute them."""

from __future__ import annotations

import inspect

from quickstudy.tasks.meta_features.describe import GROUPS
from quickstudy.tasks.meta_features.media import describe_files, describe_images, describe_texts

HEAD = """# Meta-features

Written by `python docs/make.py` from the docstrings in `quickstudy/tasks/meta_features/`. Do not edit it.

`describe(x, y)` gives them all, under the same names for every table; what makes no sense for a table is NaN, and so is
what has not begun when `time_limit` seconds are over. Columns are numbers or categories, infinite numbers count as
missing, and rows without a target are left out. Of a large table 10,000 rows and 100 columns are looked at, chosen by
`rng`.

```python
from quickstudy.tasks.meta_features.describe import describe

found = describe([[5.1, "red"], [4.9, "blue"], [6.2, "red"]], ["yes", "no", "yes"], groups=["simple", "information"])
assert found["classes"] == 2 and found["information_most"] > 0.9
```
"""
MEDIA = (describe_texts, describe_images, describe_files)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, features in GROUPS.items():
        about = inspect.getdoc(inspect.getmodule(features[0])) or ""
        parts.append(f"\n## {name.capitalize()}\n\n{about}\n")
        parts += [f"\n**`{feature.__name__}`** {inspect.getdoc(feature)}\n" for feature in features]
    parts.append("\n## Texts, images and files\n\nNot of a table, but of what its cells name.\n")
    for function in MEDIA:
        about = (inspect.getdoc(function) or "").split("\n\nRaises:")[0]
        parts.append(f"\n**`{function.__name__}`** {about}\n")
    return "".join(parts)
