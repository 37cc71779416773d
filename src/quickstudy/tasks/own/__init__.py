"""A user's own files, read into rows: what is there, and what was left out and why."""
