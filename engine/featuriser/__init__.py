"""Named features by compiled code: what `features.py` says, from bytes, without an object of Python for a feature."""
