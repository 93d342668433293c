"""Tests provider profiles: Keyrack's own code connects, refreshes and revokes against the simulator's twin of each."""
