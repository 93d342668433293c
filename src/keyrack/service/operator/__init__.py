"""What an operator does and watches, outside of any tenant."""
