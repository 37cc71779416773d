"""Steps that are taken in adapting alone."""

from __future__ import annotations

from ...learner import Learner


class StepsInAdapting(Learner):
    """For learners that are not trained by their steps: `steps` and `test_steps`, which evaluation sets, are one."""

    steps: int

    @property
    def test_steps(self) -> int:
        """The steps, under the name by which an evaluation sets them: there are none in training."""
        return self.steps

    @test_steps.setter
    def test_steps(self, steps: int) -> None:
        self.steps = steps
