"""The start of a process of one library, bound to its cores before anything starts threads; then worker.py.

python <folder of this file> PEER THREADS
"""

import importlib
import os
import sys
from pathlib import Path

ROOM = Path(__file__).parent
peer, threads = sys.argv[1], int(sys.argv[2])
replies = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what libraries print is no reply
if hasattr(os, "sched_setaffinity"):  # nobody gets more cores than threads
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
os.environ["OMP_NUM_THREADS"] = str(threads)
# Not this folder: a library's own name might be found in it. At the end: what is installed is found first.
sys.path = [folder for folder in sys.path if folder != str(ROOM)] + [str(ROOM.parent)]
if peer in ("fastnn", "fastnn_passes", "limits"):  # the fastnn around, where none is installed
    sys.path.append(str(ROOM.parents[2]))
importlib.import_module(f"{ROOM.name}.worker").serve(peer, threads, sys.stdin, replies)
