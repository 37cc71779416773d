"""Hashed n-grams against counting by hand."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from quickstudy.encoders import text
from quickstudy.encoders.protocol import BadInputs
from quickstudy.encoders.text import HashedNGrams
from quickstudy.errors import UserError


def runs(words: str, most_words: int, shortest: int, longest: int) -> Counter[tuple[str, str]]:
    """The runs of a text, counted without any hash."""
    plain = f" {' '.join(words.lower().split())} "
    found: Counter[tuple[str, str]] = Counter()
    split = "".join(c if c.isalnum() else " " for c in plain).split()
    for n in range(1, most_words + 1):
        found.update(("w", " ".join(split[i : i + n])) for i in range(len(split) - n + 1))
    for n in range(shortest, longest + 1) if longest else ():
        found.update(("c", plain[i : i + n]) for i in range(len(plain) - n + 1))
    return found


def cosine(a: Counter[tuple[str, str]], b: Counter[tuple[str, str]]) -> float:
    damped = [{k: math.log1p(v) for k, v in c.items()} for c in (a, b)]
    lengths = [math.sqrt(sum(v * v for v in d.values())) for d in damped]
    return sum(v * damped[1].get(k, 0.0) for k, v in damped[0].items()) / (lengths[0] * lengths[1])


PAIRS = [
    ("The cat sat on the mat", "the cat  sat on\na hat"),
    ("naïve Übergröße 東京 tower", "東京 tower, übergröße!"),
    ("a a a a b", "a b b b"),
]


@pytest.mark.parametrize(("words", "characters"), [(2, (3, 5)), (3, (0, 0)), (0, (1, 4)), (1, (2, 2))])
@pytest.mark.parametrize("pair", PAIRS)
def test_in_many_buckets_products_are_those_of_the_counts(
    pair: tuple[str, str], words: int, characters: tuple[int, int]
) -> None:
    a, b = HashedNGrams(1 << 18, words=words, characters=characters)(list(pair))
    expected = cosine(*(runs(one, words, *characters) for one in pair))
    assert float(a @ b) == pytest.approx(expected, abs=2e-3)
    assert int((a != 0).sum()) == len(runs(pair[0], words, *characters))


def test_rows_have_length_one_and_depend_on_their_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text number {i} {'x' * i}" for i in range(20)]
    encoder = HashedNGrams(256)
    together = encoder(texts)
    assert together.shape == (20, *encoder.feature)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(20))
    monkeypatch.setattr(text, "CELLS", 512)
    monkeypatch.setattr(text, "CHARACTERS", 30)
    assert torch.equal(encoder(texts), together)
    assert torch.equal(encoder(texts[3:4])[0], together[3])


def test_collisions_cancel_on_average() -> None:
    """Texts without a run in common, in few buckets: products scatter around 0, as signs have them do."""
    a = HashedNGrams(64, characters=(0, 0))([f"a{i} b{i} c{i} d{i}" for i in range(300)])
    products = (a[:150] @ a[150:].T).flatten()
    assert abs(float(products.mean())) < 0.01
    assert float(products.std()) == pytest.approx(64**-0.5, rel=0.15)


def test_the_answer_is_the_same_on_every_machine() -> None:
    """Caches and bundles outlive a machine; the hash must not change."""
    x = HashedNGrams(8)(["Déjà vu, 東京!"])[0].tolist()
    seen = [-0.294729, 0.294729, 0.589458, -0.294729, -0.294729, -0.294729, 0.467134, 0.0]
    assert x == pytest.approx(seen, abs=1e-5)


def test_a_text_without_any_run_is_zero() -> None:
    assert HashedNGrams(8, characters=(0, 0))(["?!"]).tolist() == [[0.0] * 8]


def test_odd_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HashedNGrams(8)(["\ud800 alone", "\0", "İ"]).isfinite().all()
    monkeypatch.setattr(text, "LONGEST", 10)
    message = "Row 1 is an empty text; row 2 is None, a NoneType, not a text; row 3 has 11 characters .it begins 'xxxxx"
    with pytest.raises(BadInputs, match=message):
        HashedNGrams(8)(["good", " \n", None, "x" * 11])


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"words": -1}, {"characters": (3, 2)}, {"words": 0, "characters": (0, 0)}]
)
def test_arguments(options: dict[str, object]) -> None:
    with pytest.raises(UserError, match="width of 1 or more, and something to count"):
        HashedNGrams(**options)  # type: ignore[arg-type]
