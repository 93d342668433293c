"""Keyrack: OAuth clients and user tokens for integration platforms, kept apart per tenant."""

from importlib.metadata import version

__version__ = version("keyrack")
