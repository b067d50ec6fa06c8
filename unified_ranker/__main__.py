"""Command line as `python -m unified_ranker`."""

from unified_ranker.cli import main

if __name__ == "__main__":
    main()
