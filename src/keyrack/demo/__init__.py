"""What `keyrack demo` runs and plays."""
