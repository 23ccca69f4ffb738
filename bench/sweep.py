"""A sweep's results, hundreds of rows: how the ratios are distributed, and the rows at the lower end."""

from __future__ import annotations

import json
import math
from typing import Any

from report import cell, table
from rim import NETWORKS

from fastnn.tools.rivals.row import Row

PEERS = ["onnxruntime", "torch", "torch_cl"]
WORST = 15  # rows of each mode that are shown
QUANTILES = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1)
BELOW = (0.5, 0.7, 0.9, 1.0)

Line = dict[str, Any]


def lines(least: dict[tuple[str, str, str], float], rows: list[Row]) -> list[Line]:
    """Microseconds of every row and mode, and best rival / fastnn."""
    found = []
    for row in rows:
        for mode in row.modes:
            times = {peer: us for (name, m, peer), us in least.items() if (name, m) == (row.name, mode)}
            rivals = {peer: us for peer, us in times.items() if peer != "fastnn"}
            if not rivals:
                continue
            ratio = min(rivals.values()) / times["fastnn"]
            found.append(
                {
                    "row": row.name,
                    "mode": mode,
                    "ratio": round(ratio, 3),
                    **{p: round(us, 1) for p, us in times.items()},
                }
            )
    return found


def compact(found: list[Line], about: Line) -> str:
    """JSON with a line for every row."""
    body = ",\n".join(json.dumps(list(line.values())) for line in found)
    keys = json.dumps(max((list(line) for line in found), key=len, default=[]))
    return json.dumps(about)[:-1] + f',\n"columns": {keys},\n"rows": [\n{body}\n]}}'


def mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def kind(line: Line) -> str:
    return line["row"].split(":")[0].rstrip("0123456789 ")


def drawn(found: list[Line]) -> list[Line]:
    return [line for line in found if line["row"] not in NETWORKS]


def full(found: list[Line], peers: list[str], more: tuple[str, ...] = ()) -> list[str]:
    body = [
        [line["row"], *(line[key] for key in more), f"{line['ratio']:.2f}", *(cell(line.get(peer)) for peer in peers)]
        for line in found
    ]
    return table(["row", *more, "ratio", *peers], body)


def quantile(ordered: list[float], q: float) -> float:
    return ordered[round(q * (len(ordered) - 1))]


def markdown(found: list[Line], about: Line) -> str:
    modes = list(dict.fromkeys(line["mode"] for line in found))
    of_mode = {mode: [line for line in drawn(found) if line["mode"] == mode] for mode in modes}
    peers = ["fastnn", *(peer for peer in PEERS if any(peer in line for line in found))]
    spread, kinds = [], []
    for mode in modes:
        ordered = sorted(line["ratio"] for line in of_mode[mode])
        if not ordered:  # only layers of networks were asked for
            continue
        below = [str(sum(ratio < limit for ratio in ordered)) for limit in BELOW]
        spread.append([mode, str(len(ordered)), f"{mean(ordered):.2f}", *below,
                       *(f"{quantile(ordered, q):.2f}" for q in QUANTILES)])  # fmt: skip
    for name in dict.fromkeys(map(kind, drawn(found))):
        cells = [name]
        for mode in modes:
            ratios = [line["ratio"] for line in of_mode[mode] if kind(line) == name]
            cells += [f"{mean(ratios):.2f}", f"{min(ratios):.2f}"] if ratios else [cell(None)] * 2
        kinds.append(cells)
    head = ["mode", "rows", "geometric mean", *(f"below {limit}" for limit in BELOW),
            *("lowest" if q == 0 else "highest" if q == 1 else f"{100 * q:.0f} %" for q in QUANTILES)]  # fmt: skip
    parts = [
        f"{about['cpu']}, {about['date']}; {', '.join(about['versions'].values())}.",
        "",
        f"One thread, least CPU time of {about['rounds']} rounds of interleaved processes, microseconds. ratio = best "
        "rival / fastnn, above 1 fastnn is faster. train is the forward and all gradients (dx, dw, db).",
        *("\n## Ratios", *table(head, spread)),
        *("\n## Kinds", *table(["kind", *(f"{m}, {what}" for m in modes for what in ("mean", "lowest"))], kinds)),
    ]
    parts += ["\n## Layers of networks", *full([line for line in found if line["row"] in NETWORKS], peers, ("mode",))]
    for mode in modes:
        worst = sorted(of_mode[mode], key=lambda line: line["ratio"])[:WORST]
        parts += [f"\n## Lowest, {mode}", *full(worst, peers)]
    if about["wrong"]:
        parts += ["\n## Rivals whose answers differ, left out there", "", *(f"- {text}" for text in about["wrong"])]
    return "\n".join(parts) + "\n"
