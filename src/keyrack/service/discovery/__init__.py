"""What is found out about authorization servers and protected resources by their addresses alone."""
