"""Linear systems to solve, one after another."""
