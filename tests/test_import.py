"""What ``import fastnn`` loads."""

import json
import subprocess
import sys

CODE = """
import json, sys
import numpy
before = set(sys.modules)
import fastnn
print(json.dumps(sorted(set(sys.modules) - before)))
"""
# Milliseconds each, for what few calls need.
COSTLY = {"asyncio", "difflib", "gzip", "hashlib", "inspect", "multiprocessing", "numpy.random", "statistics"}
COMMANDS = ("fastnn.tools", "fastnn.viz")


def loaded():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_import_loads_numpy_and_the_standard_library_alone():
    names = {name.split(".")[0] for name in loaded()}
    assert "fastnn" in names
    assert names - set(sys.stdlib_module_names) - {"numpy"} == {"fastnn"}


def test_import_loads_no_command():
    assert [name for name in loaded() if name.startswith(COMMANDS)] == []


def test_import_loads_nothing_costly():
    assert COSTLY.isdisjoint(loaded())
