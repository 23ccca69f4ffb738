#!/usr/bin/env python3
"""Writes python/fastnn/_core.pyi from the built module that `import fastnn` finds; --check only compares.

Needs pybind11-stubgen and ruff (extra "dev"). Read the difference before committing it.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUB = Path(__file__).resolve().parent.parent / "python" / "fastnn" / "_core.pyi"
HEADER = "# Written by .ci/stub.py from the bindings in cpp/bindings; do not edit.\n"
REPLACEMENTS = [
    (r"typing\.SupportsInt \| typing\.SupportsIndex", "int"),
    (r"typing\.SupportsFloat \| typing\.SupportsIndex", "float"),
    (r'typing\.Annotated\[(collections\.abc\.Sequence\[\w+\]), "FixedSize\(\d+\)"\]', r"\1"),
    (r"(?m)^__all__.*\n", ""),
    (r"(?m)^__version__: str = .*$", "__version__: str"),
]


def generate() -> str:
    with tempfile.TemporaryDirectory() as folder:
        tool = [sys.executable, "-m", "pybind11_stubgen", "fastnn._core", "--exit-code", "-o", folder]
        subprocess.run(tool, check=True)
        path = Path(folder) / "fastnn" / "_core.pyi"
        text = path.read_text()
        for pattern, replacement in REPLACEMENTS:
            text = re.sub(pattern, replacement, text)
        path.write_text(HEADER + text)
        ruff = [sys.executable, "-m", "ruff"]
        config = ["--quiet", "--config", str(STUB.parent.parent.parent / "pyproject.toml")]
        subprocess.run([*ruff, "check", *config, "--fix", "--select", "F401,I", str(path)], check=True)
        subprocess.run([*ruff, "format", *config, str(path)], check=True)
        return path.read_text()


text = generate()
if "--check" not in sys.argv:
    STUB.write_text(text)
elif not STUB.exists() or STUB.read_text() != text:
    sys.exit(f"{STUB.name} is not what the bindings say; run .ci/stub.py")
