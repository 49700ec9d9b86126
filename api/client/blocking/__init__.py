"""The client for threads: made of the one for tasks by `../made_blocking.py`, never edited."""
