"""Pages about connections: the auth secrets of a workspace."""
