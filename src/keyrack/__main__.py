"""Runs the command `keyrack`, and `python -m keyrack`; says what is missing where only the client was installed."""

import sys

_ONLY_CLIENT = "keyrack: only the client is installed here; for the command and the server run: pip install keyrack"


def main() -> None:
    """Run the command line, or say in one line why there is none.

    `keyrack.client` works beside httpx2 alone (`pip install --no-deps keyrack`), but pip puts the command there too.
    """
    try:
        from keyrack import cli  # noqa: PLC0415 - what it imports may not be there
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "keyrack":
            raise
        sys.stderr.write(f"{_ONLY_CLIENT}\n")
        sys.exit(1)
    cli.main()


if __name__ == "__main__":
    main()
