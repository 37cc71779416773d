"""Meta-train prototypical networks on drawn characters, judge them, and learn a new task from five pictures.

    python examples/quickstart.py                # 300 steps
    python examples/quickstart.py --steps 2      # only to see it run

The pictures are drawn on this machine: nothing is downloaded.
"""

from __future__ import annotations

import argparse

import torch

import quickstudy as qs
from quickstudy.nets.conv4 import Conv4
from quickstudy.task import take

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--steps", type=int, default=300, help="of meta-training")
parser.add_argument("--tests", type=int, default=200, help="tasks to judge on")
options = parser.parse_args()

torch.manual_seed(0)  # the first weights of the net; nothing else reads the global generator
source = qs.Episodes(qs.glyphs(), ways=5, shots=1, queries=10)
learner = qs.metric.Prototypical(Conv4())

# Training on more ways than are asked for later is harder, and teaches more an episode.
for record in qs.meta_train(learner, source.train.replaced(ways=30, queries=5), steps=options.steps):
    if record.step % 50 == 0:
        print(record)

# Whole scripts are kept aside for the test: no character of them was ever trained on.
print(qs.evaluate(learner, source.test, tasks=options.tests))

# A new task: one picture of each of five characters in, a state out, and the state answers.
task = take(source.test.sample(first=options.tests, count=1), 0)
learner.eval()
with torch.no_grad():
    state = learner.adapt(task.support)
    answers = learner.predict(state, task.query.x).argmax(1)
right = int((answers == task.query.y).sum())
print(f"a task it never met: {right} of {len(answers)} queries right, state of {state.sums.numel()} numbers")
