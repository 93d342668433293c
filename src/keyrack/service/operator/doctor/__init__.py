"""Examines the installation itself: what is wrong with it, and what to change where. Nothing is changed."""
