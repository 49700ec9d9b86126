"""What an experiment is: its spec, what clients send it, and what it came to."""
