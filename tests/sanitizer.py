"""Whether the extension runs under AddressSanitizer, whose own memory shows in what the process uses."""

from pathlib import Path

SANITIZED = "asan" in Path("/proc/self/maps").read_text()
