"""Learners by family: one algorithm, one file."""
