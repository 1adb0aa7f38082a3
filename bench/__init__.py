"""Measures what the product claims: how much it accepts, how much it delivers, how soon, and whether it slows down."""
