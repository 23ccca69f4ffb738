"""fastnn beside other libraries: what ``fastnn bench`` and bench/compare.py measure with.

row.py says what a row is, rows.py names the rows, peers/ has one adapter per library, worker.py is one process of one
library, turns.py starts the processes, compares their answers and lets them take turns.

A process of a rival loads no fastnn, and its interpreter may be one that has none: ``python <this folder> PEER
THREADS`` (__main__.py) imports this folder as a package of its own. So imports in here are relative, and only the
adapters of fastnn itself import fastnn.
"""
