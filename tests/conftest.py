"""Fixtures for every test: the real counterparts and the rule for parts a machine lacks."""

pytest_plugins = [  # each after those it imports from
    "support.parts",
    "support.postgres",
    "support.authorization_servers",
    "support.app",
    "support.browser",
    "support.keyrack_processes",
    "support.loopback_peers",
    "support.running",
    "support.grants",
    "support.raw_provider",
]
