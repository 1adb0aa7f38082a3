"""The demonstration: octo/hello connected the way a person does it, and a day of its life replayed through its hook."""
