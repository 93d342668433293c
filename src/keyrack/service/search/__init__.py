"""Finds whatever a caller may see."""
