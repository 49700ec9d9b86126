"""The interfaces: HTTP, command line, Python, Gymnasium."""

if __name__ != "onearm.api":
    raise ImportError("import it as onearm.api")
