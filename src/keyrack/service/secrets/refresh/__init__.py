"""Keeping tokens fresh: the only way a token is refreshed, for readers, callers and the worker alike."""
