"""What comes from outside, made safe to use: request parameters, JSON, HTML, names in addresses."""
