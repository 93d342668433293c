"""Pages about clients at providers: components that need one, OAuth clients, auth clients."""
