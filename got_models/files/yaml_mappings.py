"""Reading untrusted YAML: plain keys and values, without features that expand or surprise.

Only mappings, lists and plain values are accepted. An alias repeats what it names, and a few lines of nested
aliases expand to more than fits into memory; tags construct objects; a duplicate key hides the first value;
and YAML 1.1 reads 010 as 8, 1:30 as 90 and 2026-01-01 as a date. Here these are rejected, or remain text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, ClassVar

import yaml

from ..errors import GoTError, short_repr

MAX_CHARACTERS = 100_000
MAX_DEPTH = 10
_TAG = "tag:yaml.org,2002:"
_ODD = re.compile("[\0\ud800-\udfff]")
"""What neither a path nor a tokenizer takes; escapes such as "\\ud800" can write it."""


def read_yaml(text: str, what: str) -> dict[str, Any]:
    """The keys and values of a YAML text; {} if it is empty.

    Args:
        what: names the text in messages, for instance by its file name.

    Raises:
        GoTError: it is not YAML, not a mapping, or uses an unsupported feature.
    """
    if len(text) > MAX_CHARACTERS:
        raise GoTError(f"{what} may have {MAX_CHARACTERS:,} characters, got {len(text):,}.")
    loader = None
    try:
        loader = _PlainLoader(text)
        values = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        where = f" (line {place.line + 1}, column {place.column + 1})" if place else ""
        raise GoTError(
            f"{what} cannot be read as YAML: {error.problem or error.context!s:.200}{where}."
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise GoTError(f"{what} cannot be read as YAML: {' '.join(str(error).split()):.200}.") from error
    except ValueError as error:  # Python does not parse integers of more than 4300 digits
        raise GoTError(f"{what} holds a number that is too long.") from error
    finally:
        if loader is not None:
            loader.dispose()
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise GoTError(f"{what} must hold keys and values such as 'steps: 2000', got {short_repr(values)}.")
    return values


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, restricted."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _rejected(f"found the alias {short_repr(event.anchor)}: write out what it repeats", event)
        if odd := _ODD.search(getattr(event, "value", "")):
            kind = "a null character" if odd[0] == "\0" else "half of a character"
            raise _rejected(f"found {kind}", event)
        if getattr(event, "tag", None) is not None:
            raise _rejected(f"found the tag {short_repr(event.tag)}: leave it out", event)
        if self.depth == MAX_DEPTH:
            raise _rejected(f"keys and lists may be nested at most {MAX_DEPTH} deep", event)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag != f"{_TAG}str":
                advice = 'in quotes, such as "no"' if isinstance(key_node, yaml.ScalarNode) else "as a word"
                raise _rejected(f"write the key {advice}", key_node)
            if key_node.value in mapping:
                raise _rejected(f"the key {short_repr(key_node.value)} appears twice", key_node)
            mapping[key_node.value] = self.construct_object(value_node, deep=True)
        return mapping


def _rejected(problem: str, where: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)


_FLOAT = r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|nan)"
for _kind, _pattern, _first in (  # kind of value, its pattern, and its first characters
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", "(?i:yes|no|true|false|on|off)", [*"yYnNtTfFoO"]),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)", [*"-+0123456789"]),
    ("float", _FLOAT, [*"-+.0123456789"]),
):
    _PlainLoader.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), _first)
