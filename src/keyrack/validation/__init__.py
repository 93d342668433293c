"""What values must look like, wherever they come from: requests, imports, the command line or descriptors."""
