"""Components, who sees them, their builds, and what their steps find in the environment."""
