"""SQL and nothing else: tables, migrations, and units of work bound to one tenant."""
