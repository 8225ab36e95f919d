"""SHA-256 of the code that a pipeline stage depends on; DVC, training runs and the feature cache detect changes by it.

The version of a module is the hash of the canonical syntax of every module in its import closure and of the templates
these name. Comments, docstrings and layout change no version, nor does the version of Python. Nothing is imported or
run: the source is read.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

#: They print, refuse, describe, list names, tell trackers, say where files lie or put whole ones there; they compute no
#: result. Parameters are tracked by their values, and the paths of `results/workspace.py` stand in dvc.yaml as well.
#: A name that ends with / is a folder.
NOT_COMPUTING = frozenset(
    {
        "__init__.py",
        "atomic.py",
        "choices.py",
        "code_version.py",
        "console.py",
        "errors.py",
        "params/",
        "params_file.py",
        "progress.py",
        "results/workspace.py",
        "tracking/",
    }
)

#: Fields of syntax nodes that follow from the others, or say how something was written.
_NO_MEANING = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_QUOTED = re.compile(r"""["']([\w./-]+)["']""")  # a name in a template, as of include and import


def code_version(entry: str, package: Path = PACKAGE) -> str:
    """Return the SHA-256 (hexadecimal) of what module `entry`, such as "stages.train", runs through.

    Raises:
        ValueError: `package` has no such module.
    """
    if _module_file(entry, package) is None:
        raise ValueError(f"{entry}: no module of {package}")
    digest = hashlib.sha256()
    for path in sorted(closure(entry, package)):
        digest.update(f"{path} {_file_version(package / path)}\n".encode())
    return digest.hexdigest()


def stage_versions(package: Path = PACKAGE) -> dict[str, str]:
    """Return the version of every command in `stages/`: name → SHA-256."""
    names = sorted(path.stem for path in (package / "stages").glob("*.py") if path.stem != "__init__")
    return {name: code_version(f"stages.{name}", package) for name in names}


def closure(entry: str, package: Path = PACKAGE) -> set[str]:
    """Return the files (relative to `package`, with /) whose content decides what module `entry` computes."""
    todo: list[Path | None] = [*_modules_run(entry, package)]
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        if path is None or path in seen or not _computes(path.relative_to(package).as_posix()):
            continue
        seen.add(path)
        todo += _used_files(path, package)
    return {path.relative_to(package).as_posix() for path in seen}


def _computes(name: str) -> bool:
    return name not in NOT_COMPUTING and f"{name.partition('/')[0]}/" not in NOT_COMPUTING


def imported_modules(path: Path) -> set[str]:
    """Return every dotted name that a module imports, inside functions too, but not for type checking alone."""
    return _names(_tree(path))[0]


def canonical(node: object) -> str:
    """Return the meaning of a syntax tree as text: no position, docstring or layout, the same in every Python.

    Fields that are empty are left out, because newer versions of Python add some.
    """
    if isinstance(node, ast.Constant):
        return f"<{node.value!a}>"  # the other forms of text differ between versions of Unicode
    if isinstance(node, ast.JoinedStr):
        # Python 3.12.1 puts an empty constant into a nested format, such as f"{x:{width}.{places}}".
        values = [value for value in node.values if not (isinstance(value, ast.Constant) and value.value == "")]
        return f"(JoinedStr values={canonical(values)})" if values else "(JoinedStr)"
    if isinstance(node, ast.AST):
        parts = [type(node).__name__]
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name not in _NO_MEANING:
                parts.append(f"{name}={canonical(value)}")
        return f"({' '.join(parts)})"
    if isinstance(node, list):
        return f"[{' '.join([canonical(item) for item in node if not _is_unused(item)])}]"
    return ascii(node)


def _is_unused(node: object) -> bool:
    """Return whether a statement does nothing when run: a docstring, or imports for type checking alone."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return _is_type_checking(node)


def _is_type_checking(node: object) -> bool:
    if not isinstance(node, ast.If) or node.orelse:
        return False
    name = node.test.attr if isinstance(node.test, ast.Attribute) else getattr(node.test, "id", "")
    return name == "TYPE_CHECKING"


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


@cache
def _file_version(path: Path) -> str:
    if path.suffix == ".py":
        return hashlib.sha256(canonical(_tree(path)).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


@cache
def _used_files(path: Path, package: Path) -> tuple[Path, ...]:
    """Return the files of the package that a module or a template names."""
    if path.suffix != ".py":
        return _named_files(set(_QUOTED.findall(path.read_text(encoding="utf-8"))), package)
    names, texts, beginnings = _names(_tree(path))
    # A registry imports by name: "skinlesion.x.y", or f"skinlesion.x.{name}", which may be any module of x.
    prefix = f"{package.name}."
    names = {_absolute(name, path, package) for name in names}
    names |= {text for text in texts if text.startswith(prefix)}
    for text in beginnings:
        if text.startswith(prefix):
            folder, _, stem = text.rpartition(".")
            files = package.parent.joinpath(*folder.split(".")).glob(f"{stem}*.py")
            names |= {f"{folder}.{file.stem}" for file in files}
    inside = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    modules = (file for name in inside for file in _modules_run(name, package))
    return (*modules, *_named_files(texts, package))


def _named_files(texts: set[str], package: Path) -> tuple[Path, ...]:
    """Return the files but modules that `texts` name, with or without a folder; "name/" names all of a folder."""
    names = {text.rpartition("/")[2] for text in texts}
    folders = {text.rstrip("/") for text in texts if text.endswith("/")}
    return tuple(
        path
        for path in _other_files(package)
        if path.name in names or path.parent.relative_to(package).as_posix() in folders
    )


@cache
def _other_files(package: Path) -> tuple[Path, ...]:
    """Return whatever is no module and no byte code: templates, styles, entries of the registry."""
    return tuple(path for path in package.rglob("*.*") if path.suffix not in {".py", ".pyc"} and path.is_file())


def _absolute(name: str, path: Path, package: Path) -> str:
    """Return the full name of what module `path` imports as `name`, which may begin with dots."""
    levels = len(name) - len(name.lstrip("."))
    if levels == 0:
        return name
    folder = path.parents[levels - 1].relative_to(package.parent)
    return ".".join([*folder.parts, name.lstrip(".")])


def _modules_run(name: str, package: Path) -> Iterator[Path]:
    """Yield the files that run when `name` (without the package) is imported: its packages' and its own."""
    parts = [part for part in name.split(".") if part]
    for count in range(1, len(parts) + 1):
        path = _module_file(".".join(parts[:count]), package)
        if path is not None:
            yield path


def _module_file(name: str, package: Path) -> Path | None:
    """Return the file of module `name` of the package, or None where that is no module (a function, say)."""
    base = package.joinpath(*name.split("."))
    for candidate in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _names(tree: ast.Module) -> tuple[set[str], set[str], set[str]]:
    """Return the dotted names that a module imports, its string constants, and what its f-strings begin with.

    Imports inside functions count; documentation and imports for type checking alone do not.
    """
    imports: set[str] = set()
    texts: set[str] = set()
    beginnings: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                texts.add(node.value)
        elif isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            separator = "" if origin.endswith(".") else "."
            imports |= {origin} | {f"{origin}{separator}{alias.name}" for alias in node.names}
        else:
            if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
                beginnings.add(str(node.values[0].value))
            todo += [child for child in ast.iter_child_nodes(node) if not _is_unused(child)]
    return imports, texts, beginnings
