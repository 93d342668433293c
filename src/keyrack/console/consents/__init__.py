"""Pages on which accounts are connected."""
