"""What can be done with a task: teach, correct, ask, explain, judge."""
