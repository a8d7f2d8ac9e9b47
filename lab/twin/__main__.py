"""`python -m lab.twin`: boot the machines of the templates and prove that they become members. Needs root."""

import sys

from lab.twin.needs import install, missing
from lab.twin.run import run


def main() -> int:
    """Run, or say what is missing."""
    install()
    lacks = missing()
    if lacks:
        print("twin: it needs " + "; ".join(lacks), file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
