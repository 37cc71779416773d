"""The learner for tables: its mathematics against plain loops, and what it promises about columns."""

from __future__ import annotations

import pytest
import torch

from quickstudy.contract import check_learner
from quickstudy.functional.solvers.kernel_ridge import kernel_ridge
from quickstudy.learners.closed_form.tabular import Tabular
from quickstudy.task import Examples

G = torch.Generator().manual_seed(0)


@pytest.fixture
def learner() -> Tabular:
    torch.manual_seed(0)
    made = Tabular(hidden=8)
    for net in (made.column, made.table, made.gate):  # as if trained: the last layers begin at zero
        torch.nn.init.normal_(net.layers[-1].weight, std=0.3)
    return made.double()


def table(ways: int = 3, shots: int = 4, columns: int = 6) -> tuple[Examples, torch.Tensor]:
    y = torch.arange(ways).repeat_interleave(shots)
    x = torch.randn(len(y), columns, generator=G).double() + y.unsqueeze(1)
    return Examples(x, y, ways=ways), torch.randn(5, columns, generator=G).double()


def test_promises() -> None:
    check_learner(Tabular(hidden=8))


def test_left_out_answers_are_those_of_a_regression_without_the_row() -> None:
    a = torch.randn(7, 3, generator=G).double()
    y = torch.randn(7, 2, generator=G).double()
    kernel = a @ a.T
    weights, left_out = kernel_ridge(kernel, y, 0.3)
    torch.testing.assert_close(weights, torch.linalg.solve(kernel + 0.3 * torch.eye(7).double(), y))
    for i in range(7):
        others = torch.arange(7) != i
        without, _ = kernel_ridge(kernel[others][:, others], y[others], 0.3)
        torch.testing.assert_close(left_out[i], kernel[i, others] @ without)


def test_several_kernels_are_solved_as_each_alone() -> None:
    a = torch.randn(2, 5, 3, generator=G).double()
    y, kernels = torch.randn(5, 2, generator=G).double(), a @ a.mT
    weights, left_out = kernel_ridge(kernels, y, torch.tensor([0.1, 2.0]).double().view(2, 1, 1))
    for i, penalty in enumerate((0.1, 2.0)):
        own = kernel_ridge(kernels[i], y, penalty)
        torch.testing.assert_close((weights[i], left_out[i]), own)


def test_order_of_columns_padding_unit_and_zero_do_not_matter(learner: Tabular) -> None:
    support, x = table()
    answers = learner.predict(learner.adapt(support), x)
    order = torch.randperm(6, generator=G)

    def changed(rows: torch.Tensor) -> torch.Tensor:
        moved = rows[:, order] * torch.tensor([1.0, 10, 0.1, 3, 7, 2]).double() + 5
        return torch.cat([moved, torch.zeros(len(rows), 3).double()], 1)

    again = learner.predict(learner.adapt(Examples(changed(support.x), support.y, ways=3)), changed(x))
    torch.testing.assert_close(again, answers)


def test_classes_without_a_row_left_are_as_if_the_row_had_never_been(learner: Tabular) -> None:
    support, _ = table()
    numbers = support.x
    member = torch.nn.functional.one_hot(support.y, 3).double()
    prior, shrink = torch.tensor(2.0).double(), torch.tensor(0.5).double()
    mean, _, (alone, _) = learner._classes(numbers, member, prior, shrink)
    torch.testing.assert_close(mean[1], numbers[4:8].sum(0) / (4 + shrink))
    torch.testing.assert_close(alone[5, 1], numbers[[4, 6, 7]].sum(0) / (3 + shrink))
    torch.testing.assert_close(alone[5, 0], mean[0])


def test_many_queries_are_answered_as_few(learner: Tabular) -> None:
    support, _ = table()
    state, x = learner.adapt(support), torch.randn(600, 6, generator=G).double()
    torch.testing.assert_close(learner.predict(state, x)[590:], learner.predict(state, x[590:]))


def test_a_table_of_constants_is_answered_evenly(learner: Tabular) -> None:
    state = learner.adapt(Examples(torch.ones(4, 3).double(), torch.tensor([0, 0, 1, 1]), ways=2))
    answers = learner.predict(state, torch.zeros(2, 3).double())
    assert torch.isfinite(answers).all()
    torch.testing.assert_close(answers[:, 0], answers[:, 1])
