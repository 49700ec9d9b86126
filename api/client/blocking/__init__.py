"""The client for threads: made of the one for tasks by tests/blocking_client.py, never edited."""
