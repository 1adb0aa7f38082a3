"""The demonstration: connects origins as a person would, replays a recorded day for each, and runs a poll."""
