"""An offline OAuth 2.0 authorization server on loopback whose behaviour, good and bad, is chosen by its user."""
