"""Judges what a diagnosis of a client has seen at its provider, as functions without I/O (decision 37)."""
