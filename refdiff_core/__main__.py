"""`python -m refdiff_core` is `refdiff`."""

from .command.cli import main

if __name__ == "__main__":
    main()
