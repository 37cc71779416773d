"""Tables and series: scaled by meta-train alone, gaps marked, columns found by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quickstudy.encoders import series as series_module
from quickstudy.encoders.protocol import BadInputs
from quickstudy.encoders.series import Series
from quickstudy.encoders.tables import Scale, Table
from quickstudy.errors import BadExamples, UnknownName, UserError
from quickstudy.tasks.own.rows import Columns

NAN = np.nan


def columns() -> Columns:
    rng = np.random.default_rng(0)
    numeric = np.stack([rng.normal(50, 4, 40), rng.integers(0, 2, 40), rng.normal(0, 1, 40)], 1)
    numeric[3, 2] = NAN
    codes = np.stack([rng.integers(-1, 3, 40), np.arange(40) % 30], 1).astype(np.int32)
    names = ("red", "green", "blue"), tuple(f"c{i:02d}" for i in range(30))
    return Columns(numeric, ("age", "bit", "gap"), codes, ("hue", "many"), names)


def test_a_table_is_scaled_by_meta_train_alone() -> None:
    whole, train = columns(), np.arange(20)
    changed = Columns(whole.numeric.copy(), *list(vars(whole).values())[1:])
    changed.numeric[20:] *= 1000
    table = Table.fit(whole, train)
    assert table == Table.fit(changed, train) == Table.fit(whole[train])
    assert table != Table.fit(changed)
    assert table.identity == Table.fit(changed, train).identity != Table.fit(whole).identity
    x = table(whole)
    assert x.shape == (40, *table.feature) and x.dtype == torch.float32
    age = whole.numeric[:20, 0]
    low, middle, high = np.quantile(age, (0.25, 0.5, 0.75))
    np.testing.assert_allclose(x[:20, 0], (age - middle) / (high - low) * 1.349, atol=1e-5)
    assert np.array_equal(x[:, 1], whole.numeric[:, 1])  # bits stay bits


def test_vector_and_columns_say_the_same() -> None:
    whole = columns()
    vector, pairs = Table.fit(whole, most_categories=4), Table.fit(whole, form="columns", most_categories=4)
    width = 3 + 3 + 4
    assert vector.feature == (width + 1,) and pairs.feature == (width, 2)
    x, y = vector(whole), pairs(whole)
    assert torch.equal(x[:, :width], y[..., 0])
    assert torch.equal(x[:, width], 1 - y[:, 2, 1])  # the only column with a gap
    assert x[3, 2] == 0 and x[3, width] == 1
    hue = torch.from_numpy(whole.categorical[:, 0]).long()
    assert torch.equal(x[:, 3:6], torch.nn.functional.one_hot(hue + 1, 4)[:, 1:].float())
    assert torch.equal(y[:, 3, 1], (hue >= 0).float())


def test_the_most_frequent_categories_count_and_unseen_ones_are_zero() -> None:
    codes = np.array([[2], [2], [1], [1], [0], [-1]], np.int32)
    made = Columns(np.zeros((6, 0)), (), codes, ("hue",), (("blue", "green", "red"),))
    table = Table.fit(made, most_categories=2)
    assert table.categorical == (("hue", ("green", "red")),)
    assert table(made).tolist() == [[0, 1], [0, 1], [1, 0], [1, 0], [0, 0], [0, 0]]


def test_columns_and_categories_are_found_by_name() -> None:
    first = Columns(np.array([[1.0, 5.0]]), ("a", "b"), np.array([[0]], np.int32), ("hue",), (("red",),))
    other = Columns(
        np.array([[5.0, 1.0, 9.0]]),
        ("b", "a", "c"),
        np.array([[7, 1]], np.int32),
        ("x", "hue"),
        (("?",), ("blue", "red")),
    )
    table = Table.fit(first, scaled=False)
    assert table(first).tolist() == table(other).tolist() == [[1, 5, 1]]
    with pytest.raises(BadExamples, match="no numeric column 'a'"):
        table(Columns(np.ones((1, 1)), ("A",), np.zeros((1, 1), np.int32), ("hue",), (("red",),)))
    with pytest.raises(BadExamples, match=r"no categorical column 'hue'\. Did you mean 'hues'"):
        table(Columns(np.ones((1, 2)), ("a", "b"), np.zeros((1, 1), np.int32), ("hues",), (("red",),)))


def test_unscaled_numbers_stay_as_they_are() -> None:
    made = Columns(np.array([[1e5], [-7.0], [NAN], [1e300]]), ("a",), np.zeros((4, 0), np.int32), (), ())
    x = Table.fit(made, scaled=False)(made)
    assert x[:3].tolist() == [[1e5, 0], [-7, 0], [0, 1]]
    assert x.isfinite().all()


@pytest.mark.parametrize(
    ("seen", "centre", "spread"),
    [
        ([5.0, 5.0, 5.0], 5.0, 1.0),  # constant
        ([NAN, NAN], 0.0, 1.0),
        ([], 0.0, 1.0),
        ([0.0] * 9 + [10.0], 0.0, 3.0),  # quartiles that say nothing: the deviation
        ([0.0] * 9 + [1e308, -1e308], 0.0, 1.0),
    ],
)
def test_scales_of_odd_columns(seen: list[float], centre: float, spread: float) -> None:
    scale = Scale.of("x", np.array(seen))
    assert (scale.centre, scale.spread) == (centre, spread)


def test_order_is_kept_and_nothing_is_huge() -> None:
    numbers = np.array([-1e300, -1e6, -3.1, -3, -1, 0, 1, 2.9, 3, 3.1, 1e6, 1e300])
    z = Scale("x")(numbers)
    assert (np.diff(z) > 0).all()
    assert np.abs(z).max() < 1000
    assert z[4:8].tolist() == [-1, 0, 1, 2.9]


def test_a_form_that_there_is_not() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'vector'"):
        Table.fit(columns(), form="vectors")  # type: ignore[arg-type]


def long_and_short() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    made = [rng.normal(3, 2, (n, 2)).astype(np.float32) for n in (5, 3, 8, 1)]
    made[1][1, 0] = NAN
    return made


def test_series_are_padded_and_marked() -> None:
    made = long_and_short()
    encoder = Series.fit(made, scaled=False)
    x = encoder(made)
    assert x.shape == (4, *encoder.feature) == (4, 4, 8)
    for row, one in enumerate(made):
        known = ~np.isnan(one.T)
        assert np.array_equal(x[row, 2:, : len(one)], known)
        assert np.array_equal(x[row, :2, : len(one)], np.where(known, one.T, 0))
        assert not x[row, :, len(one) :].any()


def test_series_are_scaled_by_meta_train_and_as_long_as_the_longest() -> None:
    made = long_and_short()
    train = np.array([True, True, False, False])
    encoder = Series.fit(made, train)
    made[2] = made[2] * 100
    assert encoder == Series.fit(made, np.array([0, 1])) != Series.fit(made)
    assert encoder.length == 8
    together = np.concatenate(made[:2])
    assert encoder.channels[1].centre == pytest.approx(np.median(together[:, 1]))


def test_series_that_are_too_long() -> None:
    made = long_and_short()
    encoder = Series.fit(made[:2])
    with pytest.raises(BadInputs, match=r"Row 2 is \(8, 2\), not \(at most 5, 2\)"):
        encoder(made)
    cut = Series.fit(made, length=4, scaled=False)
    assert cut.feature == (4, 4)
    assert np.array_equal(cut(made)[2, :2], made[2][:4].T)


def test_series_of_other_channels_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made = long_and_short()
    with pytest.raises(BadInputs, match=r"Row 0 is \(3, 1\); |Row 0 is \(3, 1\), not"):
        Series.fit(made)([np.zeros((3, 1))])
    with pytest.raises(BadExamples, match="as many channels each"):
        Series.fit([*made, np.zeros((3, 1))])
    with pytest.raises(UserError, match="got 0 series"):
        Series.fit([])
    monkeypatch.setattr(series_module, "memory_available", lambda: 100.0)
    with pytest.raises(UserError, match=r"4 series of 2 channels, padded to 8, take 0.0 GB, .* length="):
        Series.fit(made)(made)
