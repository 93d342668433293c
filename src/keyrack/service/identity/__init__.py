"""Who is calling: users, API keys, and what is remembered about them."""
