"""A classifier and a regressor that choose, fit and combine pipelines within a time limit."""
