"""Fixtures for every test: the real counterparts and the rule for parts a machine lacks."""

pytest_plugins = [
    "support.parts",
    "support.postgres",
    "support.oidc_provider",
    "support.django_oauth",
    "support.browser",
    "support.app",
    "support.served",
    "support.listening",
    "support.running",
    "support.clients_of_keyrack",
    "support.simulated",
    "support.raw_provider",
    "support.name_server",
]
