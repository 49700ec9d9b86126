"""The foundation: the loop, the vocabulary, the kernels' machinery. NumPy and numba only; no clock, disk or network."""

if __name__ != "onearm.engine":
    raise ImportError("import it as onearm.engine")

__path__.append(f"{__path__[0]}/_moved")  # modules of 0.1 by their old names, for one version
