"""OAuth clients of both generations."""
