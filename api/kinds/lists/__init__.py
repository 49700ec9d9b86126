"""Lists: several decisions that are made together, each on what was decided above."""
