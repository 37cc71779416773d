"""How well a learner does, how sure that is, and whether the number can be believed."""
