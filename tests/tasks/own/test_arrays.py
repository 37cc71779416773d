"""Arrays by scikit-learn's conventions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quickstudy.errors import BadExamples
from quickstudy.tasks.own.arrays import rows_from_arrays
from quickstudy.tasks.own.rows import Columns

LABELS = ["a", "b"] * 4


@pytest.mark.parametrize(
    ("x", "modality", "dtype"),
    [
        (np.random.default_rng(0).normal(size=(8, 3)), "features", np.float64),
        (torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), "features", np.float32),
        (np.arange(24, dtype=np.uint8).reshape(8, 3), "features", np.float32),
        (np.random.default_rng(0).normal(size=(8, 5, 2)), "series", np.float32),
        (np.random.default_rng(0).integers(0, 255, (8, 3, 4, 4)).astype(np.uint8), "image", np.uint8),
        (np.random.default_rng(0).integers(0, 255, (8, 3, 4, 4)).astype(np.int64), "image", np.float32),
        (torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0)), "image", np.float32),
    ],
)
def test_shapes_say_what_the_inputs_are(x: np.ndarray | torch.Tensor, modality: str, dtype: type) -> None:
    rows = rows_from_arrays(x, LABELS)
    held = rows.inputs.numeric if isinstance(rows.inputs, Columns) else rows.inputs
    assert (rows.modality, held.dtype, held.shape) == (modality, dtype, tuple(x.shape))
    np.testing.assert_allclose(held, np.asarray(x), rtol=1e-6)
    assert rows.tasks is None and rows.classes[0] == ("a", "b")


def test_bytes_of_three_dimensions_are_grey_images() -> None:
    x = np.random.default_rng(0).integers(0, 255, (8, 5, 4)).astype(np.uint8)
    rows = rows_from_arrays(x, LABELS)
    assert rows.modality == "image" and rows.inputs.shape == (8, 1, 5, 4) and np.shares_memory(rows.inputs, x)
    assert any("(channels, height, width) = (1, 5, 4)" in note for note in rows.notes)
    assert any("(length, channels) = (5, 4)" in note for note in rows_from_arrays(x.astype(float), LABELS).notes)


def test_what_needs_no_change_is_not_copied() -> None:
    x = np.zeros((8, 3, 4, 4), dtype=np.uint8)
    x[:, 0, 0, 0] = np.arange(8)
    assert rows_from_arrays(x, LABELS).inputs is x
    y = np.random.default_rng(0).normal(size=(8, 3))
    assert np.shares_memory(rows_from_arrays(y, LABELS).inputs.numeric, y)


def test_labels_and_groups_of_any_type() -> None:
    x = np.random.default_rng(0).normal(size=(8, 2))
    rows = rows_from_arrays(x, np.array([0.0, 1.0] * 4), groups=torch.arange(8) // 4)
    assert rows.labels.tolist() == ["0", "1"] * 4 and rows.task_numbers[0] == ("0", "1")
    many = np.random.default_rng(0).normal(size=(60, 2))
    assert rows_from_arrays(many, np.linspace(0, 1, 60)[:, None], groups=np.arange(60) // 30).labels.dtype == np.float64
    assert rows_from_arrays(many, np.arange(60) // 2).kind == "classification"
    assert rows_from_arrays(many, np.arange(60) // 2, np.arange(60) % 2, kind="regression").kind == "regression"


@pytest.mark.parametrize(
    ("x", "y", "groups", "said"),
    [
        (np.zeros((8, 2)), LABELS[:7], None, r"X has 8 rows, so y must be \(8,\), not \(7,\)"),
        (np.zeros((8, 2)), LABELS, [0], r"groups must be \(8,\)"),
        (np.zeros((8, 2)), [0.5, np.nan] * 4, None, "y is missing .* in 4 rows, row 1 first"),
        (np.zeros((8, 2)), ["a", None] * 4, None, "y is missing"),
        (np.zeros(8), LABELS, None, r"got \(8,\) of float64"),
        (np.array([["a", 1]] * 8, dtype=object), LABELS, None, "read_table"),
        (np.zeros((8, 0)), LABELS, None, "nothing in it"),
        (np.zeros((8, 32, 32, 3)), LABELS, None, r"use X.transpose\(0, 3, 1, 2\)"),
        (np.array([[0.0], [np.inf]] * 4), LABELS, None, "Row 1 of X is not finite"),
    ],
)
def test_what_does_not_fit(x: np.ndarray, y: list[str], groups: list[int] | None, said: str) -> None:
    with pytest.raises(BadExamples, match=said):
        rows_from_arrays(x, y, groups)
