"""Trained policies: networks and tables as kernels, and the files that hold them."""
