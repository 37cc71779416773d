"""Searching for a network: what past data sets say of cells that nobody trained on this one."""
