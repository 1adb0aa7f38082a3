"""What the product claims, measured on the product as it runs."""
