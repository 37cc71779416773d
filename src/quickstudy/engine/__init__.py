"""How one-task code is run over a batch of tasks."""
