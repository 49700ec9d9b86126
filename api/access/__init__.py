"""Who may do what: callers and their keys."""
