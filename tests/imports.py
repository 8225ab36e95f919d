"""What a module of the package imports, read from the source: no module is run.

`python -m tests.imports` writes the modules that each stage runs through into the three dvc.yaml.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skinlesion"

#: Where a pipeline lies → the path from there to the code.
PIPELINES = {".": "skinlesion", "examples/phantom": "../../skinlesion", "examples/offline": "../../skinlesion"}

#: They change what is printed or accepted, never what is computed: parameters are tracked by their values.
NOT_DEPENDENCIES = {"errors.py", "progress.py", "params.py"}

#: Stages that run another one's module.
MODULES = {"external": "prepare", "assess_ensemble": "assess"}

_SOURCES = {
    "data/catalogue.py",
    "data/decode.py",
    "data/download.py",
    "data/fetch.py",
    "data/phantom/population.py",
    "data/preprocess.py",
    "data/sources/images.py",
    "data/sources/mapping.py",
    "data/sources/table_source.py",
}
_PAGE = {"report/style.css"}
#: Chosen by a parameter at run time, or no Python: no import shows them.
CHOSEN = {
    "prepare": {"data/sources/${data.source}.py", *_SOURCES},
    "external": {"data/sources/${item.set.source}.py", *_SOURCES},
    "describe": {"report/dataset.html.j2", *_PAGE},
    "audit": {"report/audit.html.j2", *_PAGE},
    "report": {
        "report/page.html.j2",
        "report/assessment.html.j2",
        "report/subgroups.html.j2",
        "report/explanations.html.j2",
        "report/card.md.j2",
        *_PAGE,
    },
}


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


def code_dependencies(stage: str) -> set[str]:
    """Return the files of the package that a stage must depend on."""
    run_through = {
        file
        for file in closure(f"skinlesion.stages.{MODULES.get(stage, stage)}")
        if file not in NOT_DEPENDENCIES and (not file.endswith("__init__.py") or file == "data/sources/__init__.py")
    }
    return run_through | CHOSEN.get(stage, set())


def with_dependencies(text: str) -> str:
    """Return the text of a dvc.yaml with the code dependencies of every stage as they are now."""
    lines: list[str] = []
    stage = ""
    for line in text.splitlines():
        if line.startswith("  ") and not line.startswith("   ") and line.endswith(":"):
            stage = line.strip(" :")
        if not line.startswith("      - ${code}/"):
            lines.append(line)
        elif not lines[-1].startswith("      - ${code}/"):  # the first of them stands for all
            lines += [f"      - ${{code}}/{file}" for file in sorted(code_dependencies(stage))]
    return "\n".join(lines) + "\n"


def main() -> None:
    text = with_dependencies((ROOT / "dvc.yaml").read_text())
    for folder, code in PIPELINES.items():
        path = ROOT / folder / "dvc.yaml"
        path.write_text(text.replace("  - code: skinlesion\n", f"  - code: {code}\n"))
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
