"""MAML on sinusoids: an initialisation from which a few gradient steps fit a curve from ten points.

python examples/sine_maml.py                 # 2,000 steps; the benchmark trains for 15,000
python examples/sine_maml.py --steps 2       # only to see it run
"""

from __future__ import annotations

import argparse

import torch

import quickstudy as qs
from quickstudy.nets.mlp import MLP

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--steps", type=int, default=2_000, help="of meta-training")
parser.add_argument("--tests", type=int, default=200, help="tasks to judge on")
options = parser.parse_args()

torch.manual_seed(0)
source = qs.Sinusoids(shots=10, queries=10)
maml = qs.gradient.MAML(MLP(1, 1), steps=1, lr=0.01)

for record in qs.meta_train(maml, source.train, steps=options.steps, tasks=25):
    if record.step % 500 == 0:
        print(record)

# Trained with one inner step, judged after up to ten; step 0 is the initialisation itself.
judged = source.test.replaced(queries=100)
result = qs.evaluate(maml, judged, tasks=options.tests, steps=(0, 1, 5, 10))
for steps, (value, ci95) in result.by_steps.items():
    print(f"after {steps:2d} steps: mse {value:.3f} ± {ci95:.3f}")

# The same net without meta-learning, from random weights, on the same tasks.
scratch = qs.baseline.FromScratch(MLP(1, 1), steps=100)
maml.test_steps = 10
pair = qs.evaluate(maml, judged, tasks=options.tests), qs.evaluate(scratch, judged, tasks=options.tests)
print(qs.compare(*pair, names=("MAML", "training from scratch")))
