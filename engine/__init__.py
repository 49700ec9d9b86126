"""The foundation: the loop, the vocabulary, the kernels' machinery. NumPy and numba only; no clock, disk or network."""

if __name__ != "onearm.engine":
    raise ImportError("import it as onearm.engine")
