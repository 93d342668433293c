"""Makes the pictures of the documentation, from what the demo's story leaves behind."""
