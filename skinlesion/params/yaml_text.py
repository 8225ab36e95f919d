"""YAML as params.yaml uses it: mappings with text as keys, lists, text, numbers, true, false and null.

What YAML has besides is refused with its line: tags, dates, keys that are no text, and what is too large, too deep or,
through its aliases, too many values. So whatever reads the content afterwards takes a bounded time.
"""

from __future__ import annotations

import unicodedata
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from skinlesion.errors import shorten, shown

LARGEST = 256 << 10  # characters; the largest file of this repository has 15 thousand
DEEPEST = 16  # the schema goes five levels deep
MOST_VALUES = 10_000  # keys too, and aliases as often as they are used; a second or two
LONGEST_KEY = 100
LONGEST_TEXT = 5000
LONGEST_NUMBER = 50

_TOO_MANY = f"more than {MOST_VALUES:,} values, aliases counted as often as they are used"
_TAG = "tag:yaml.org,2002:"
_MERGE, _DATE = f"{_TAG}merge", f"{_TAG}timestamp"
_NUMBERS = (f"{_TAG}int", f"{_TAG}float")
_SCALARS = (f"{_TAG}str", f"{_TAG}bool", f"{_TAG}null", *_NUMBERS)


def parse_yaml(text: str) -> Any:
    """Return the content of a YAML text by the rules of YAML 1.2, which are DVC's: `off` is a word and `010` is ten.

    Raises:
        YAMLError: not YAML, a key stands twice in one mapping, or something that params.yaml does not use; `problem`
            says what, and `problem_mark.line` where.
    """
    if len(text) > LARGEST:
        raise MarkedYAMLError(problem=f"more than {LARGEST:,} characters")
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer, yaml.Constructor = _Composer, _Constructor
    try:
        return yaml.load(text)
    except YAMLError:
        raise
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:  # of the parser, on rubbish
        raise MarkedYAMLError(problem=shorten(str(error).partition("\n")[0]) or "unreadable") from None


class _Composer(Composer):
    """Makes nodes of the text, and stops where they are too many or too deep."""

    _depth = _nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth, self._nodes = self._depth + 1, self._nodes + 1
        if self._depth > DEEPEST:
            _refuse(f"nested more than {DEEPEST} levels deep", self.parser.peek_event())
        if self._nodes > MOST_VALUES:
            _refuse(_TOO_MANY, self.parser.peek_event())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Constructor(SafeConstructor):
    """Makes values of a document that has been checked."""

    def construct_document(self, node: Node) -> Any:
        _Checker(self.resolver).check(node)
        return super().construct_document(node)


class _Checker:
    """Walks a document once and counts what its aliases stand for."""

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver
        self._values: dict[int, int | None] = {}  # id of a node → values below it, aliases as often as they are used

    def check(self, node: Node) -> int:
        """Check a node and all below it; return how many values that are."""
        if id(node) in self._values:
            cached = self._values[id(node)]
            if cached is None:
                _refuse("an alias of what it stands in", node)
            return cached
        self._values[id(node)] = None
        if isinstance(node, MappingNode):
            self._check_container(node, "map")
            values = 1 + self._mapping(node)
        elif isinstance(node, SequenceNode):
            self._check_container(node, "seq")
            values = 1 + sum(self.check(value) for value in node.value)
        else:
            self._check_scalar(node)
            values = 1
        if values > MOST_VALUES:
            _refuse(_TOO_MANY, node)
        self._values[id(node)] = values
        return values

    def _mapping(self, node: MappingNode) -> int:
        values, keys = 0, set()
        for key, value in node.value:
            self._check_key(key)
            if key.value in keys:
                _refuse(f"key {shorten(key.value)} twice", key)
            keys.add(key.value)
            values += 1 + self.check(value)
        return values

    def _check_container(self, node: Node, kind: str) -> None:
        if node.tag != _TAG + kind:
            _refuse(f"tag {_named(node)}: leave tags out", node)

    def _check_key(self, key: Node) -> None:
        if not isinstance(key, ScalarNode):
            _refuse("a list or mapping as a key; keys are text", key)
        if key.tag != _MERGE or key.style:
            self._check_scalar(key)
            if key.tag != f"{_TAG}str":
                _refuse(f"key {shown(key.value)} is no text; put it in quotes", key)
        if not key.value.isprintable():
            _refuse(f"key {shown(key.value)} has characters that cannot be printed", key)
        if len(key.value) > LONGEST_KEY:
            _refuse(f"a key of {len(key.value):,} characters; at most {LONGEST_KEY}", key)

    def _check_scalar(self, node: Any) -> None:
        plain = not node.style
        if node.tag != self._resolver.resolve(ScalarNode, node.value, (plain, not plain)):
            _refuse(f"tag {_named(node)}: leave tags out", node)
        if node.tag == _DATE:
            _refuse(f"{shown(node.value)} is read as a date; put it in quotes", node)
        if node.tag not in _SCALARS:
            _refuse(f"{shown(node.value)} is neither text nor number", node)
        longest = LONGEST_NUMBER if node.tag in _NUMBERS else LONGEST_TEXT
        if len(node.value) > longest:
            _refuse(f"{shown(node.value)} has {len(node.value):,} characters; at most {longest:,}", node)
        if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t" for letter in node.value):
            _refuse(f"{shown(node.value)} has characters that cannot be printed", node)


def _refuse(problem: str, place: Any) -> NoReturn:
    raise MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def _named(node: Node) -> str:
    return shorten(str(node.tag).replace(_TAG, "!!"))
