"""The OAuth protocol as functions without I/O: build a request, process a response."""
