"""Flows, their graphs, and what their steps are configured with."""
