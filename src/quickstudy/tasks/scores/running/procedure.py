"""What an instance costs when first a fixed schedule runs, then features are computed, then the chosen algorithm."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ..reading.scenario import PENALTY, Scenario

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)  # of the cut-off that a step of a schedule may take
LEAST = 1e-3  # share of the mean cost that a further step has to save: less is chance


@dataclasses.dataclass(frozen=True)
class Procedure:
    """What is done with a new instance before an algorithm is chosen for it.

    Args:
        schedule: (algorithm, seconds) in turn, each stopped after its seconds; most instances may end here.
        featured: whether features are computed, and paid for, if they do not.
    """

    schedule: tuple[tuple[int, float], ...] = ()
    featured: bool = True


def paid(scenario: Scenario, chosen: Tensor, procedure: Procedure) -> Tensor:
    """(I,) seconds until each instance was solved, ten cut-offs where it was not in time (PAR10); lower is better.

    Where performance is not a time, there is nothing to pay for: what the chosen algorithm lacks of the best one.

    Args:
        chosen: (I,) an algorithm for each instance.
    """
    if scenario.cutoff is None:
        values = scenario.table.final
        return (values.amax(1, keepdim=True) - values).gather(1, chosen.unsqueeze(1)).squeeze(1)
    clock = torch.zeros(len(chosen), dtype=torch.float64)
    done = torch.full_like(clock, torch.inf)
    for algorithm, seconds in procedure.schedule:
        run = scenario.performance[:, algorithm]
        solves = scenario.solved[:, algorithm] & (run <= seconds)
        done = torch.minimum(done, torch.where(solves, clock + run, torch.inf))
        clock = clock + seconds
    if procedure.featured:
        clock = clock + scenario.feature_cost
    run, solves = (part.gather(1, chosen.unsqueeze(1)).squeeze(1) for part in (scenario.performance, scenario.solved))
    done = torch.minimum(done, torch.where(solves, clock + run, torch.inf))
    return torch.where(done <= scenario.cutoff, done, PENALTY * scenario.cutoff)


def scheduled(scenario: Scenario, chosen: Tensor, procedure: Procedure, *, steps: int = 3) -> Procedure:
    """The procedure with a schedule that would have been cheapest for these instances, found one step after the other.

    Source: pre-solving of SATzilla (Xu et al. 2008, arXiv:1111.2249).
    """
    if scenario.cutoff is None:
        return procedure
    best = float(paid(scenario, chosen, procedure).mean())
    for _ in range(steps):
        tried = [
            dataclasses.replace(procedure, schedule=(*procedure.schedule, (algorithm, share * scenario.cutoff)))
            for algorithm in range(len(scenario.algorithms))
            for share in SHARES
        ]
        costs = [float(paid(scenario, chosen, other).mean()) for other in tried]
        if min(costs) > (1 - LEAST) * best:
            return procedure
        best, procedure = min(costs), tried[costs.index(min(costs))]
    return procedure
