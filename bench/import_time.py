"""What ``import fastnn`` costs beyond NumPy, in milliseconds of CPU time: the least of many processes.

python bench/import_time.py [PROCESSES]

Of the importing thread alone: those of the BLAS under NumPy wait busily for a while after it is loaded.
"""

from __future__ import annotations

import subprocess
import sys

CODE = "import numpy, time; start = time.thread_time(); import fastnn; print(time.thread_time() - start)"


def main() -> None:
    times = []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 15):
        run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
        times.append(1000 * float(run.stdout))
    print(f"import fastnn: {min(times):.1f} ms beyond NumPy, the least of {len(times)}")


if __name__ == "__main__":
    main()
