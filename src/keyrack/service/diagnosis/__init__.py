"""Finds out why connecting with a client fails, and says what to change (decision 37)."""
