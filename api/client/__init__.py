"""A client of the service in Python: `onearm.client` is its short name."""
