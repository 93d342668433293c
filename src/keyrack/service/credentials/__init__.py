"""Credentials of the first generation."""
