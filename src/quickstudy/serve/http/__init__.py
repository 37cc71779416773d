"""What HTTP asks of a service: bodies, errors, and a guard in front."""
