"""What past data sets say: their scores on one scale, and the prior that they make."""
