"""Auth secrets: the user side of a connection, kept fresh."""
