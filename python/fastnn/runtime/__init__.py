"""What belongs to the process or the machine: threads, settings, the report of versions."""
