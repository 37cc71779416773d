"""Past experience as tasks: how good each candidate was on each data set."""
