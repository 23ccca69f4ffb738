"""The training loop, and what it asks before and after each step."""
