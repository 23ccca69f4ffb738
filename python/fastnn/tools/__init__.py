"""What the command line runs; nothing else imports it."""
