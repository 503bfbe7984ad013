"""Runs the command line as `python -m bulkup`."""

from bulkup.cli import main

if __name__ == "__main__":
    main()
