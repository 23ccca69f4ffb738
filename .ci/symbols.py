#!/usr/bin/env python3
"""Checks the objects of a build folder: no kernel compiled for one ISA level can run on a machine of another.

A weak (inline, template) symbol of an AVX-512 object could be the copy that the linker keeps for all, so there may be
none; vector registers must not be wider than the level's. Hot loops (loops.py) must use its full width, and those of
the products must keep their vectors in registers.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from loops import hot_loops, self_check

WIDER = {"baseline": r"%[yz]mm", "avx2": r"%zmm", "avx512": None}
WIDTH = {"avx2": "ymm", "avx512": "zmm"}
# Objects whose hot loops may not touch the stack, and those among them that must have hot loops at all.
CONVOLUTIONS = (
    "depthwise",
    "depthwise_weight",
    "direct",
    "direct_weight",
    "dot",
    "planar",
    "planar_weight",
    "spread_input",
    "winograd",
    "winograd_weight",
)
PRODUCTS = re.compile(rf"({'|'.join(CONVOLUTIONS)}|gemm|gru\w*|lstm\w*|panel|recurrent_step|rnn|roofline)\.cpp\.o")
NOT_EMPTY = {
    f"{name}.cpp.o"
    for name in (
        *CONVOLUTIONS,
        "gemm",
        "gru",
        "lstm",
        "panel",
        "recurrent_step",
        "rnn",
    )
}
# The only exceptions, told from products by their division: loops over the gates of a step. The constants of exp and
# tanh do not fit into 16 registers beside three or four gates; one load each is little beside the divisions.
GATES = {
    ("avx2", "backward(fastnn::LstmBackward"),
    ("avx2", "forward(fastnn::GruForward"),
    ("avx2", "forward(fastnn::LstmForward"),
    ("avx2", "block(fastnn::GruVariantForward"),
    ("avx2", "block(fastnn::LstmVariantBackward"),
    ("avx2", "block(fastnn::LstmVariantForward"),
    ("avx2", "gru_panel<"),
    ("avx2", "rnn_panel<"),
    ("avx512", "block(fastnn::LstmVariantForward"),
}
# And Winograd's transforms: the 36 vectors of a tile are more than the registers, once per 6 x 6 multiply-adds of each.
TRANSFORMS = ("input_tile<", "gradient_tile(")
BANNED_FLAGS = re.compile(r"-ffast-math|-Ofast|-funsafe-math|-march=native")


checked: Counter[str] = Counter()


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def mode_changes(path: Path) -> int:
    return len(re.findall(r"\bldmxcsr\b", output("objdump", "-d", str(path))))


def check_loops(level: str, name: str, code: str) -> list[str]:
    problems = []
    loops = hot_loops(code, WIDTH[level])
    if name in NOT_EMPTY and not loops:
        problems.append("no hot loop found")
    for loop in loops:
        where = f"{loop.function}, loop at {loop.head:#x} with {loop.multiply_adds} multiply-adds: "
        if loop.narrow:
            problems.append(where + f"not all of full width, {loop.narrow[0]!r}")
        if not PRODUCTS.fullmatch(name):
            continue
        checked[f"{level}: hot loops checked for vectors on the stack"] += 1
        if not loop.stack:
            continue
        if loop.divides and any(level == of and function in loop.function for of, function in GATES):
            checked[f"{level}: of them excused, loops over gates"] += 1
        elif "winograd" in name and any(function in loop.function for function in TRANSFORMS):
            checked[f"{level}: of them excused, Winograd's transforms"] += 1
        else:
            problems.append(where + f"{len(loop.stack)} vectors on the stack, {loop.stack[0]!r}")
    return problems


def check_object(level: str, path: Path) -> list[str]:
    problems = []
    for line in output("nm", "-C", str(path)).splitlines():
        kind, name = line[17:18], line[19:]
        if kind in "WVuwv" and not name.startswith("_GLOBAL_OFFSET_TABLE_"):
            problems.append(f"weak symbol {name}")
        if kind == "T" and f"fastnn::{level}::" not in name:
            problems.append(f"global symbol outside fastnn::{level}: {name}")
    code = output("objdump", "-dC", "--no-show-raw-insn", str(path))
    wider = WIDER[level] and re.search(WIDER[level], code)
    if wider:
        problems.append(f"register {wider.group()}")
    return problems + (check_loops(level, path.name, code) if level in WIDTH else [])


def check_build(folder: Path) -> list[str]:
    problems, count = [], 0
    for level in WIDER:
        for path in sorted((folder / "CMakeFiles" / f"kernels_{level}.dir").rglob("*.o")):
            count += 1
            problems += [f"{level}/{path.name}: {problem}" for problem in check_object(level, path)]
    if count < 3:
        problems.append(f"{folder}: only {count} kernel objects found")
    banned = BANNED_FLAGS.search((folder / "build.ninja").read_text())
    if banned:
        problems.append(f"build.ninja: {banned.group()}")
    # Only FlushSubnormals of threads.cpp sets the floating-point mode, and puts it back; the compiler's fast-math would
    # add an instruction of its own to the module.
    ours = mode_changes(next(folder.rglob("threads.cpp.o")))
    for module in folder.glob("_core*.so"):
        if "set_fast_math" in output("nm", "-D", str(module)) or mode_changes(module) != ours:
            problems.append(f"{module.name}: changes the floating-point mode of the process")
        # Our own names only: std::thread and the like, instantiated with our types, are exported as well.
        exported = [line[19:] for line in output("nm", "-DC", "--defined-only", str(module)).splitlines()]
        problems += [f"{module.name}: exports {name}" for name in exported if name.startswith("fastnn::")]
    print(f"{count} kernel objects checked")
    for what, number in sorted(checked.items()):
        print(f"{what}: {number}")
    return problems


self_check()
found = check_build(Path(sys.argv[1]))
sys.exit("\n".join(found) if found else 0)
