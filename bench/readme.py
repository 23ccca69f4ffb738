"""Writes the README's table of speeds from the results of compare.py: every measured row, losing ones included.

python bench/readme.py bench/results/cnn-amd-epyc.json bench/results/rnn-amd-epyc.json
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

from report import cell, table
from shapes import ROWS

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- speed: bench/readme.py -->", "<!-- end of speed -->"
GROUPS = {
    "layers": "Convolutions and poolings of real networks",
    "more": "More layers, losses and optimizers",
    "steps": "Training steps",
    "rnn": "Recurrent layers",
    "ragged": "Sequences of different lengths",
    "streaming": "Streaming: one time step per call",
    "rnn steps": "Recurrent training steps",
}


def marked(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 1 else f"**{ratio:.2f}**"


def group_table(lines: list[dict]) -> list[str]:
    """One line for each row and mode; times of one thread, ratios of one and of two."""
    body, ratios = [], []
    two = {(line["row"], line["mode"]): line for line in lines if line["threads"] == 2}
    for line in lines:
        if line["threads"] != 1 or "ratio" not in line:
            continue
        other = two.get((line["row"], line["mode"]), {})
        rival = line["best_rival"]
        times = line["microseconds"]
        both = [marked(of["ratio"]) if "ratio" in of else "" for of in (line, other)]
        ratios.append(line["ratio"])
        body.append([line["row"], line["mode"], cell(times["fastnn"]), cell(times[rival]), rival, *both])
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    head = ["row", "mode", "fastnn, us", "best rival, us", "rival", "ratio", "ratio, 2 threads"]
    return [*table(head, body), "", f"Geometric mean of the ratios at one thread: {mean:.2f}."]


def main() -> None:
    parts: list[str] = []
    for name in sys.argv[1:]:
        path = Path(name).resolve()
        found = json.loads(path.read_text())
        versions = ", ".join(dict.fromkeys(found["versions"].values()))
        source = path.with_suffix(".md").relative_to(README.parent)
        parts += ["", f"{found['cpu']}, {found['date']}; {versions}; {found['rounds']} rounds. From `{source}`:"]
        for group, title in GROUPS.items():
            lines = [line for line in found["rows"] if ROWS[line["row"]].group == group]
            if lines:
                parts += ["", f"**{title}**", *group_table(lines)]
        met = sum(target["met"] for target in found["targets"])
        parts += ["", f"{met} of {len(found['targets'])} targets of this set are met; the file names the others."]
    text = README.read_text()
    inside = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.S)
    README.write_text(inside.sub(lambda _: "\n".join([BEGIN, *parts, END]), text))


if __name__ == "__main__":
    main()
