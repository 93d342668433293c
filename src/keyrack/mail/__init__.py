"""Mail: what is written, and how it is handed to a mail server (decision 24)."""
