"""`python -m onearm` and the `onearm` command."""

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from onearm.api.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
