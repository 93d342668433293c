"""Clients that were deleted, and can be restored for a time (decision 53)."""
