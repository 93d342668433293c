"""Sends mail that use cases have written into the database."""
