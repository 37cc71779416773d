"""Your own labelled arrays: split by class, train, compare with a baseline, save, load, learn a new task.

    python examples/own_data.py                  # 300 steps, seconds
    python examples/own_data.py --steps 2        # only to see it run

The "data" are 60 made-up species, described by 32 measurements of 30 plants each. Put your arrays in their place.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

import quickstudy as qs
from quickstudy.nets.mlp import MLP

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--steps", type=int, default=300, help="of meta-training")
parser.add_argument("--tests", type=int, default=200, help="tasks to judge on")
parser.add_argument("--out", type=Path, help="folder for the bundle; a temporary one when left out")
options = parser.parse_args()

# x: one row a measured plant, labels: its species. Only 4 of 32 measurements tell species apart; the rest is noise.
rng = np.random.default_rng(0)
labels = np.repeat([f"species {i:02d}" for i in range(60)], 30)
x = rng.normal(size=(len(labels), 32)).astype(np.float32) * 3
x[:, :4] = np.repeat(rng.normal(size=(60, 4)), 30, axis=0) * 2 + rng.normal(size=(len(labels), 4)) * 0.5

# A species is on one side only: 36 to train, 12 to validate, 12 to test.
pool = qs.Pool.of(x, labels, name="plants").resplit((0.6, 0.2, 0.2), by="class")
source = qs.Episodes(pool, ways=5, shots=3, queries=10)

torch.manual_seed(0)
learner = qs.metric.Prototypical(MLP(32, 16, hidden=(64,)))
records = qs.meta_train(
    learner,
    source.train,
    steps=options.steps,
    tasks=4,
    validate=lambda learner: qs.evaluate(learner, source.validation, tasks=100),
    every=100,
)
for record in records:
    if record.validation is not None:
        print(f"step {record.step}: validation {record.validation}")

# The question that decides: is it better than something simple, on the same tasks?
result = qs.evaluate(learner, source.test, tasks=options.tests)
simple = qs.evaluate(qs.baseline.LinearProbe(), source.test, tasks=options.tests)
print("prototypical:", result)
print("linear probe:", simple)
print(qs.compare(result, simple, names=("prototypical", "the linear probe")))
print(qs.audit(learner, source.test).sentence)

# A bundle is a folder: weights, a readable recipe, the result and a model card.
with tempfile.TemporaryDirectory() as temporary:
    folder = qs.save_bundle(options.out or Path(temporary) / "plants", learner, source=source, results=result.to_json())
    bundle = qs.load_bundle(folder)

# Two species nobody has seen: three plants of each are enough to begin with, and labels are any names.
centres = rng.normal(size=(2, 4)) * 2
new = rng.normal(size=(6, 32)).astype(np.float32) * 3
new[:, :4] = np.repeat(centres, 3, axis=0) + rng.normal(size=(6, 4)) * 0.5
state, envelope = bundle.adapt(new, ["oak", "oak", "oak", "elm", "elm", "elm"])
for name, confidence in bundle.predict(state, envelope, new[[0, 5]]):
    print(f"{name} ({confidence:.0%})")
