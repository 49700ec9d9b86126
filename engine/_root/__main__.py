"""`python -m onearm` and the `onearm` command."""

import gc
import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    # What is imported stays: collecting garbage along the way only walks it over and over.
    gc.set_threshold(100_000, 50, 100)
    from onearm.api.cli.main import run

    code = run()
    gc.freeze()  # or the interpreter walks all of it once more as it ends: 65 ms of CPU for numba's modules alone
    sys.exit(code)


if __name__ == "__main__":
    main()
