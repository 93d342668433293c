"""What every table stands on: units of work, statements, engines, keys and pages."""
