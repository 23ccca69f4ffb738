"""The package's modules import each other without circles, at import and inside functions alike."""

import ast
import re
from pathlib import Path

import fastnn as fnn

ROOT = Path(fnn.__file__).parent


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


RIVALS = ROOT / "tools" / "rivals"  # also a package of its own, in processes without fastnn, so relative inside
PATHS = {module_of(path): path for path in sorted(ROOT.rglob("*.py")) if RIVALS not in path.parents}
KNOWN = {*PATHS, "fastnn._core"}  # which imports nothing of the package


def imports(tree):
    """Every import statement of a module but for those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from imports(ast.Module(node.orelse, []))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        else:
            yield from imports(node)


def targets(statement):
    """The modules of the package that a statement asks for by name."""
    if isinstance(statement, ast.Import):
        names = [alias.name for alias in statement.names]
    else:
        assert not statement.level, "imports are absolute"
        names = []
        for alias in statement.names:
            inner = f"{statement.module}.{alias.name}"
            names.append(inner if inner in KNOWN else statement.module)
    return {name for name in names if name in PATHS}


def graph():
    return {
        name: set().union(*map(targets, imports(ast.parse(path.read_text())))) - {name} for name, path in PATHS.items()
    }


def circles(graph):
    """Sets of more than one module, each of which reaches every other one."""
    reached = {name: set() for name in graph}
    for start in graph:
        stack = [*graph[start]]
        while stack:
            name = stack.pop()
            if name not in reached[start]:
                reached[start].add(name)
                stack += graph[name]
    return {frozenset(n for n in reached[name] if name in reached[n]) for name in graph if name in reached[name]}


def test_no_circles():
    assert not [sorted(circle) for circle in circles(graph())]


def test_a_circle_is_found():
    functions = ast.parse("def f():\n    from fastnn import ops\nif TYPE_CHECKING:\n    import fastnn.nn\n")
    assert set().union(*map(targets, imports(functions))) == {"fastnn.ops"}
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {frozenset("abc")}


def test_ops_and_kernels_in_cpp_know_no_python():
    folder = Path(__file__).parent.parent / "cpp"
    sources = [path for part in ("contract", "kernels", "ops", "runtime") for path in (folder / part).rglob("*.*")]
    assert len(sources) > 100
    assert not [str(path) for path in sources if re.search(r"#include.*(pybind11|Python\.h)", path.read_text())]
