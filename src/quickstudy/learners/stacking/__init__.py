"""Combining what several methods say, by weights learned across past data sets."""
