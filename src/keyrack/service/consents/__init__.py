"""Consents: a person allows a client to act at a provider, and tokens come of it."""
