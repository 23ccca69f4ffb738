"""The innermost loops of a disassembled function, and what they do with vector registers.

A hot loop is an innermost loop with at least HOT packed multiply-adds: the microkernels. There the compiler must
neither keep a vector on the stack (the tile is then too large for the register file) nor use less than the level's
width.
"""

import re
from typing import NamedTuple

HOT = 8
MULTIPLY_ADD = re.compile(r"vfn?m(?:add|sub)\d+ps\b")
VECTOR = re.compile(r"%[yz]mm")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(.+)$")
JUMP = re.compile(r"^(?:bnd |notrack )?(j\w+) +([0-9a-f]+) <")
NO_NEXT = ("jmp", "ret", "ud2", "hlt")


class Instruction(NamedTuple):
    at: int
    text: str
    target: int | None  # of a direct jump


class Loop(NamedTuple):
    head: int
    body: frozenset[int]  # addresses of its instructions


class HotLoop(NamedTuple):
    function: str
    head: int
    multiply_adds: int
    narrow: list[str]  # multiply-adds of another width than the level's
    stack: list[str]  # vectors moved from or to the stack
    divides: bool


def functions(code: str) -> dict[str, list[Instruction]]:
    """Instructions by function, from ``objdump -d --no-show-raw-insn``, with or without ``-C``."""
    found: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in code.splitlines():
        if start := FUNCTION.match(line):
            name = start.group(1)
            while name in found:  # static functions of one name
                name += "'"
            current = found[name] = []
        elif parts := INSTRUCTION.match(line):
            text = parts.group(2).split("#")[0].strip()
            jump = JUMP.match(text)
            current.append(Instruction(int(parts.group(1), 16), text, int(jump.group(2), 16) if jump else None))
    return found


def _successors(code: list[Instruction]) -> dict[int, list[int]]:
    known = {i.at for i in code}
    after: dict[int, list[int]] = {}
    for i, one in enumerate(code):
        after[one.at] = [one.target] if one.target in known else []
        if not one.text.removeprefix("bnd ").startswith(NO_NEXT) and i + 1 < len(code):
            after[one.at].append(code[i + 1].at)
    return after


def _reached(start: int, edges: dict[int, list[int]], first: int, last: int) -> set[int]:
    """Addresses in [first, last] that can be reached from ``start`` without leaving it."""
    seen, waiting = {start}, [start]
    while waiting:
        for other in edges[waiting.pop()]:
            if first <= other <= last and other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def innermost_loops(code: list[Instruction]) -> list[Loop]:
    """Loops that hold no other loop: backward jumps that their target can reach; those to one head are one loop."""
    after = _successors(code)
    before: dict[int, list[int]] = {i.at: [] for i in code}
    for at, others in after.items():
        for other in others:
            before[other].append(at)
    bodies: dict[int, set[int]] = {}
    for one in code:
        if one.target in before and one.target <= one.at:
            forward = _reached(one.target, after, one.target, one.at)
            if one.at in forward:
                body = forward & _reached(one.at, before, one.target, one.at)
                bodies.setdefault(one.target, set()).update(body)
    return [
        Loop(head, frozenset(body))
        for head, body in bodies.items()
        if not any(other != head and other in body and bodies[other] <= body for other in bodies)
    ]


def hot_loops(code: str, width: str) -> list[HotLoop]:
    """The loops with at least HOT multiply-adds; ``width``: the level's registers, "ymm" or "zmm"."""
    found = []
    for name, instructions in functions(code).items():
        if sum(MULTIPLY_ADD.match(i.text) is not None for i in instructions) < HOT:
            continue
        # Where it is not the frame pointer, rbp points anywhere.
        framed = any(re.match(r"mov +%rsp,%rbp", i.text) for i in instructions)
        on_stack = re.compile(r"\(%r[sb]p\b" if framed else r"\(%rsp\b")
        for loop in innermost_loops(instructions):
            body = [i.text for i in instructions if i.at in loop.body]
            products = [text for text in body if MULTIPLY_ADD.match(text)]
            if len(products) >= HOT:
                narrow = [text for text in products if f"%{width}" not in text]
                stack = [text for text in body if VECTOR.search(text) and on_stack.search(text)]
                divides = any(text.startswith("vdivps") for text in body)
                found.append(HotLoop(name, loop.head, len(products), narrow, stack, divides))
    return found


def self_check() -> None:
    """Raises AssertionError where a narrow product and a spill are not found, or something else is."""
    lines = ["0000000000000000 <f>:", *(f"{at:4x}:\tvfmadd231ps %zmm1,%zmm2,%zmm{at}" for at in range(8))]
    lines += [
        "   8:\tvfmadd231ps %ymm1,%ymm2,%ymm3",
        "   9:\tvmovaps 0x20(%rsp),%zmm4",
        "   a:\tvmovaps %zmm4,(%rbp)",
        "   b:\tjne    0 <f>",
        "   c:\tje     0 <f>",
        "   d:\tret",
        "   e:\tvmovaps 0x40(%rsp),%zmm5",
        "   f:\tjmp    d <f+0xd>",
    ]
    assert hot_loops("\n".join(lines), "zmm") == [
        HotLoop("f", 0, 9, ["vfmadd231ps %ymm1,%ymm2,%ymm3"], ["vmovaps 0x20(%rsp),%zmm4"], False)
    ]
