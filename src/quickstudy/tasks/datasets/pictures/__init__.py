"""Data sets of small pictures."""
