"""`outbid` and `python -m bidder`: starts the command line."""

import sys


def main() -> int:
    """Run one verb; the exit code of the process."""
    from bidder.cli.main import main as cli_main

    return cli_main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
