"""The demonstration: origins connected the way a person does it, days of their life replayed, a poll held."""
