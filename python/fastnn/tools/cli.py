"""The command line: ``fastnn info``, ``fastnn demo``, ``fastnn bench``; also ``python -m fastnn``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fastnn import _core
from fastnn.runtime.threads import set_num_threads


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastnn", description="Trains and serves CNNs and RNNs on the CPU.")
    parser.add_argument("--version", action="version", version=f"fastnn {_core.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("info", help="versions, instruction set, threads, OpenMP runtime")

    demo = commands.add_parser("demo", help="train a CNN and an LSTM on real data, in less than 90 seconds")
    demo.add_argument("--out", default="fastnn-demo", metavar="DIR", help="folder for models and plots (%(default)s)")
    demo.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything random (%(default)s)")

    bench = commands.add_parser("bench", help="this machine's peak, and layers in percent of it")
    bench.add_argument("--seconds", type=float, default=0.5, metavar="S", help="per measurement (%(default)s)")
    for command in (demo, bench):
        command.add_argument("--threads", type=int, metavar="N", help="default: what `fastnn info` shows")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "threads", None) is not None:
        try:
            set_num_threads(options.threads)
        except ValueError as error:
            parser.error(str(error))
    if options.command == "info":
        from fastnn.runtime.report import show_versions

        show_versions()
        return 0
    if options.command == "demo":
        from fastnn.tools.demo import run_demo

        return run_demo(options.out, options.seed)
    from fastnn.tools.bench import run_bench

    return run_bench(options.seconds)
