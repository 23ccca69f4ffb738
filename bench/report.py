"""The results of compare.py as Markdown."""

from __future__ import annotations

from targets import Verdict

from fastnn.tools.rivals.peers import RIVALS

NOTHING = "–"  # noqa: RUF001


def cell(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f} %"


def table(head: list[str], lines: list[list[str]]) -> list[str]:
    return ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(line)} |" for line in lines)]


def rows_table(lines: list[dict], threads: int) -> list[str]:
    lines = [line for line in lines if line["threads"] == threads]
    peers = ["fastnn", *(peer for peer in RIVALS if any(peer in line["microseconds"] for line in lines))]
    head = ["row", "mode", "layout", *peers, "best rival", "ratio", "of limit", "of memory", "faults"]
    body = []
    for line in lines:
        limit = f"{percent(line['of_limit'])} {line['limit']}" if "limit" in line else NOTHING
        ratio = f"{line['ratio']:.2f}" if "ratio" in line else NOTHING
        body.append(
            [
                *(line["row"], line["mode"], line["layout"] or NOTHING),
                *(cell(line["microseconds"].get(peer)) for peer in peers),
                *(line.get("best_rival", NOTHING), ratio if line.get("ratio", 1) >= 1 else f"**{ratio}**"),
                *(limit, percent(line.get("of_memory")), cell(line.get("page_faults"))),
            ]
        )
    return [f"\n## {threads} thread{'s' if threads > 1 else ''}", *table(head, body)]


def passes_table(passes: list[dict]) -> list[str]:
    if not passes:
        return []
    modes = list(passes[0]["microseconds"])
    body = [
        [line["row"], str(line["threads"]), *(cell(line["microseconds"][mode]) for mode in modes), cell(line["peak"])]
        for line in passes
    ]
    return ["\n## Passes of the 3x3 convolutions", *table(["row", "threads", *modes, "peak"], body)]


def targets_table(judged: list[Verdict]) -> list[str]:
    body = []
    for target in dict.fromkeys(verdict.target for verdict in judged):
        group = [verdict for verdict in judged if verdict.target == target]
        worst = min(group, key=lambda verdict: verdict.value)
        met = sum(verdict.met for verdict in group)
        body.append(
            [target, f"{worst.least:.2f}", f"{met} of {len(group)}", "met" if met == len(group) else "missed",
             f"{worst.value:.2f}", worst.subject]
        )  # fmt: skip
    missed = [
        [verdict.target, verdict.subject, f"{verdict.value:.2f}", f"{verdict.least:.2f}"]
        for verdict in judged
        if not verdict.met
    ]
    head = ["target", "at least", "met by", "", "lowest", "where"]
    return [
        *("\n## Targets", *table(head, body)),
        *(["\n### Missed", *table(["target", "where", "is", "at least"], missed)] if missed else []),
    ]


def markdown(lines: list[dict], passes: list[dict], judged: list[Verdict], about: dict) -> str:
    intro = [
        f"{about['cpu']}, {about['date']}; {', '.join(about['versions'].values())}.",
        "",
        f"Microseconds, median of {about['rounds']} rounds of interleaved processes. ratio = best rival / fastnn, "
        "above 1 fastnn is faster. train is the forward and all gradients (dx, dw, db), forward records nothing; a "
        "step is zero grad, forward, loss, backward, SGD with momentum; a streaming call is one time step that goes on "
        "from the last. layout: memory of fastnn's x. of limit: the "
        "time of as many multiply-adds in registers (FMA), or of copying as many bytes in a working set of that size "
        "(copy), over fastnn's time; of memory: the same with the copy bandwidth out of cache. faults: page faults of "
        "fastnn per step.",
    ]
    tables = [rows_table(lines, threads) for threads in dict.fromkeys(line["threads"] for line in lines)]
    parts = [*intro, *(line for part in tables for line in part), *passes_table(passes), *targets_table(judged)]
    return "\n".join(parts) + "\n"
