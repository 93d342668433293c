"""Converts other projects' catalogues of providers into profiles."""
