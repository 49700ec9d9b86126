"""Modules of 0.1 by their old names: `engine/__init__.py` looks here last. The folder goes with 0.3."""
