"""Pages of webhooks, their deliveries, and events."""
