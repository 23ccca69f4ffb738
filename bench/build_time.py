"""What an installation costs: ``pip install .`` in a new environment, and where the compiler's time goes.

    python bench/build_time.py            # wall and CPU seconds of pip install ., downloads included
    python bench/build_time.py --log build/x/.ninja_log    # seconds per part of a build that is there

The second sums how long each compilation ran, so it is CPU time only where no more jobs ran than there are cores.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import venv
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent


def install() -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        pip = [f"{folder}/bin/pip", "install", "--no-cache-dir", "-qq", str(ROOT)]
        subprocess.run(pip, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        found = list(Path(folder).glob("lib/*/site-packages/fastnn/_core*.so"))
        print(f"pip install .: {wall:.0f} s, user {user:.0f} s, system {system:.0f} s on {os.cpu_count()} cores")
        print(f"extension: {found[0].stat().st_size / 1e6:.2f} MB")


def part_of(output: str) -> str:
    """Bindings, ops, or the level of the kernels; the precompiled headers by themselves."""
    if "cmake_pch" in output:
        return "precompiled headers"
    level = re.search(r"kernels_(\w+)\.dir", output)
    if level:
        return f"kernels {level[1]}"
    return "bindings" if "/bindings/" in output else "ops and runtime" if ".o" in output else "link"


def by_part(log: Path) -> None:
    parts: dict[str, list[float]] = defaultdict(list)
    files: dict[str, float] = defaultdict(float)
    latest = {}
    for line in log.read_text().splitlines()[1:]:
        start, end, _, output, _ = line.split("\t")
        latest[output] = (int(end) - int(start)) / 1000
    for output, seconds in latest.items():
        parts[part_of(output)].append(seconds)
        if "cmake_pch" not in output:
            files[re.sub(r".*?\.dir/", "", output)] += seconds
    for part, times in sorted(parts.items(), key=lambda item: -sum(item[1])):
        print(f"{sum(times):7.1f} s  {len(times):3} objects  {part}")
    print(f"{sum(map(sum, parts.values())):7.1f} s  in all; the most, over all levels:")
    for file, seconds in sorted(files.items(), key=lambda item: -item[1])[:12]:
        print(f"{seconds:7.1f} s  {file}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, help="the .ninja_log of a build, instead of an installation")
    log = parser.parse_args().log
    by_part(log) if log else install()


if __name__ == "__main__":
    sys.exit(main())
