"""Loops: they know tasks and learners, never an algorithm."""
