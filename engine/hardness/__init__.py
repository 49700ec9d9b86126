"""How hard an instance of a task is, and the worst one for a policy."""
