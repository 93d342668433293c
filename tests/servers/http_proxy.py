"""Runs proxy.py, an HTTP proxy, with the words it is given, until its standard input closes; prints its port."""

import json
import sys

from proxy import Proxy

if __name__ == "__main__":
    with Proxy(sys.argv[1:]) as running:
        print(json.dumps({"port": running.flags.port}), flush=True)  # noqa: T201 - the ready line
        sys.stdin.read()
