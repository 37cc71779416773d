"""Meta-features by what they look at; each is a function of a sample, and its docstring is its documentation."""
