"""Puts the parts together: storage alone for commands, all use cases, the worker, and the server."""
