"""Data sets of sounds."""
