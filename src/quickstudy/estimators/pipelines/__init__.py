"""Pipelines for any table: what its columns hold, the models there are, and the process that fits them."""
