"""The learner at work: one thread owns it and answers many requests in one forward pass."""
