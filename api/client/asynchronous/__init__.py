"""The client for tasks of asyncio; the one for threads is made of it."""
