"""Where a text names objects, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..chain.english import ARTICLES
from ..chain.mentions import SMALL_WORDS, is_determiner, words_of
from ..chain.notations.to_chain import named_at

_WORD_BEFORE = re.compile(r"(\w+)[ \u00a0]+\Z")
GROUNDS = ("background", "ground", "backdrop")


@dataclass(frozen=True)
class Mention:
    """A name as a text has it, with its article or number, and its span there."""

    phrase: str
    span: tuple[int, int]

    @property
    def key(self) -> str:
        """The same for all mentions of what has the same name: "a dog" and "The dog"."""
        return without_determiner(self.phrase).lower()

    @property
    def is_single(self) -> bool:
        """Whether it names one thing, as "a dog" does and "two dogs" or "dogs" may not."""
        return self.phrase.split()[0].lower() in (*ARTICLES, "one", "this", "that")


def mentions(text: str, names: Sequence[str]) -> tuple[list[Mention], list[str]]:
    """Each name where the text has it, in the order of the text; and the names that it does not have.

    A name is looked for behind the one before it, then anywhere. Its article may differ from the text's.
    """
    found: list[Mention] = []
    missing: list[str] = []
    taken: list[tuple[int, int]] = []
    end = 0
    for name in names:
        bare = without_determiner(name)
        span = named_at(text, bare, [*taken, (0, end)]) or named_at(text, bare, taken) if bare else None
        if span is None:
            missing.append(name)
            continue
        before = _WORD_BEFORE.search(text[: span[0]])
        if before and is_determiner(before[1]):
            span = before.start(), span[1]
        taken.append(span)
        end = span[1]
        found.append(Mention(text[span[0] : span[1]], span))
    return sorted(found, key=lambda mention: mention.span), missing


def names_in(text: str) -> list[str]:
    """The names of a simple description: each article or number, and the words up to a comma or "and"."""
    names: list[str] = []
    words = words_of(text)
    for place, word in enumerate(words):
        if not is_determiner(word.text):
            continue
        last = place
        for following in words[place + 1 :]:
            if not following.joined or following.lower in SMALL_WORDS:
                break
            last += 1
        if last > place and words[last].lower not in GROUNDS:
            names.append(text[word.start : words[last].end])
    return names


def without_determiner(name: str) -> str:
    """The name without its article or number."""
    first, _, rest = name.strip().partition(" ")
    return rest.strip() if rest.strip() and is_determiner(first) else name.strip()
