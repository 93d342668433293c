"""Rotates the secrets of clients: two are live at a time, and the new one is tried before it is used (decision 47)."""
