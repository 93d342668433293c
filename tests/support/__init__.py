"""Fixtures and helpers that start the real counterparts: databases, authorization servers, a browser."""
