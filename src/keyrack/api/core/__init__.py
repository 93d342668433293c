"""What every route stands on: middleware, bodies, documents, errors and lists."""
