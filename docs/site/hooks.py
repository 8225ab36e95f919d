"""What mkdocs does with the repository's pages: it takes some from outside docs/, fills in tables, and moves links."""

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import fills  # noqa: E402
import links  # noqa: E402
import marked  # noqa: E402

#: Pages with wide tables → what stands beside the text elsewhere and not here.
HIDDEN = {
    "index.md": ["navigation", "toc"],
    "RESULTS.md": ["toc"],
    "benchmarks/validity.md": ["toc"],
    "benchmarks/published_tests.md": ["toc"],
    "examples/retest/retest.md": ["toc"],
}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of `links.OUTSIDE`, and what any page links to outside docs/."""
    for path in links.OUTSIDE:
        files.append(File.generated(config, links.uri(path), abs_src_path=str(links.ROOT / path)))
    linked = set()
    for file in list(files.documentation_pages()):
        page = _path(file)
        linked |= {links.linked_file(target, page) for target in links.targets(file.content_string)}
    docs = Path(config["docs_dir"])
    for target in sorted(linked):
        inside = target.is_relative_to(links.ROOT) and not target.is_relative_to(docs)
        if inside and target.is_file() and target.relative_to(links.ROOT).as_posix() not in links.OUTSIDE:
            uri = links.uri(target.relative_to(links.ROOT).as_posix())
            files.append(File.generated(config, uri, abs_src_path=str(target)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Fill in what is made from the code, and move links."""
    page.meta.setdefault("hide", HIDDEN.get(page.file.src_uri, []))
    return links.relink(marked.rewrite(markdown, "fill", fills.fill, keep_marks=False), _path(page.file))


def _path(file: File) -> str:
    """Return a page's path in the repository."""
    path: str = Path(file.abs_src_path or "").relative_to(links.ROOT).as_posix()
    return path
