"""Searches over the settings of anything that can be run: a command, a script, a simulation."""
