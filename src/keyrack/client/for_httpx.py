"""Authenticates requests of an httpx client, which has to be installed, with a secret from Keyrack."""

import httpx

from keyrack.client.auth import TokenFlow


class KeyrackAuth(TokenFlow, httpx.Auth):
    """A secret of Keyrack as `auth=` of an httpx client; how it works and what it takes is said at `TokenFlow`."""
