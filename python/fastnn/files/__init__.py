"""Models and states on disk: what is written, and how it is read back."""
