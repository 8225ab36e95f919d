"""What a module of the package imports, read from the source: no module is run."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "skinlesion"


def module_file(name: str) -> Path | None:
    """Return the file of `skinlesion.x.y`, or None where that is no module of ours (a function, say)."""
    parts = name.split(".")
    if parts[0] != "skinlesion":
        return None
    base = PACKAGE.joinpath(*parts[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported_names(path: Path) -> set[str]:
    """Return every dotted name a file imports, inside functions too, for types alone not."""
    tree = ast.parse(path.read_text())
    nodes = [node for node in ast.walk(tree) if not _type_only(tree, node)]
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _type_only(tree: ast.Module, wanted: ast.AST) -> bool:
    guards = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    return any(wanted is inner for guard in guards for inner in ast.walk(guard))


def closure(name: str) -> set[str]:
    """Return the files (relative to the package) that importing module `name` runs through, itself included."""
    todo, found = [name], set()
    while todo:
        path = module_file(todo.pop())
        if path is None or path in found:
            continue
        found.add(path)
        todo += imported_names(path)
    return {path.relative_to(PACKAGE).as_posix() for path in found}
