"""The rows of compare.py: those of the package by name, and the shapes at the rim."""

from __future__ import annotations

import rim

from fastnn.tools.rivals import rows
from fastnn.tools.rivals.row import Row

SETS = {**rows.SETS, "rim": [Row(*case, group="rim") for case in rim.cases()]}
ROWS = {**rows.ROWS, **{row.name: row for row in SETS["rim"]}}
