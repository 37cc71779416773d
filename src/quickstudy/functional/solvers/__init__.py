"""Linear problems solved in closed form or to convergence."""
