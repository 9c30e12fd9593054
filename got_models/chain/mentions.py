"""Where a sentence mentions the objects of a plan.

A plan says "a large red circle" where its prompt says "the red circle", or "two red circles" for it and
another one. A mention contains the last word of the object's name and any of the words before it, but no
other words that could make it a different object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .characters import SPACES
from .english import number, plural
from .notation import DETERMINERS

_PUNCTUATION = (
    r".,;:!?()\[\]{}<>\"|/*#\u00ab\u00bb\u201c-\u201e\u2026\u3002\uff0e\uff0c\u3001\uff64\uff1b\uff1a\uff01\uff1f\uff08"
    r"\uff09\uff3b\uff3d\uff5b\uff5d\u300c-\u300f\u300a\u300b\u3008-\u3011\u3014-\u3017\uff61-\uff63\u060c\u061b\u061f"
    r"\u06d4\u0964\u0965"
)
WORD = re.compile(f"[^{SPACES}\n{_PUNCTUATION}]+")
SMALL_WORDS = DETERMINERS | frozenset(
    """above and are at behind below beside by for from has in is it near of on over that there to under which
    who with""".split()  # noqa: SIM905
)
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_COUNTED = re.compile(
    "[\u4e00\u4e8c\u4e24\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341\u51e0\u8fd9\u90a3]?[\u4e2a\u53ea\u6761\u5f20\u4f4d\u540d\u6735\u5ea7\u8f86\u68f5\u9897\u628a]"
)


@dataclass(frozen=True)
class Name:
    """What an object is called: its article or number, and its words; `verbatim` names match literally."""

    determiner: str
    words: tuple[str, ...]
    verbatim: bool

    @classmethod
    def of(cls, phrase: str) -> Name:
        if _SPACELESS.search(phrase):
            counted = _COUNTED.match(phrase)
            start = counted.end() if counted and counted.end() < len(phrase) else 0
            return cls(phrase[:start], (phrase[start:],), True)
        words = spaced(phrase)
        start = int(len(words) > 1 and is_determiner(words[0]))
        determiner = words[0] if start else ""
        if all(WORD.fullmatch(word) for word in words):
            return cls(determiner, tuple(words[start:]), False)
        return cls(determiner, (" ".join(words[start:]),), True)

    @property
    def lower(self) -> list[str]:
        return [word.lower() for word in self.words]

    @property
    def is_plain(self) -> bool:
        """Whether the last word is the noun and all others merely describe it."""
        return not self.verbatim and SMALL_WORDS.isdisjoint(self.lower)


@dataclass
class Mention:
    """A span [start, end) that mentions objects, including its article or number.

    `said`: words of the names in it, in lower case; `described`: whether it has other adjectives too;
    `definite`: as in "the two"; `several`: whether one noun covers several objects, `count` of them;
    `objects`: indices of names.
    """

    start: int
    end: int
    determiner: str
    words: str
    said: list[str]
    described: bool = False
    definite: bool = False
    several: bool = False
    objects: list[int] = field(default_factory=list)

    @property
    def count(self) -> int | None:
        return number(self.determiner.lower())

    @property
    def is_counted(self) -> bool:
        """Whether its objects can be listed individually instead."""
        return self.several and self.count is not None and not self.definite

    def says(self, name: Name) -> bool:
        """Whether the mention also fits an object with this name."""
        return set(self.said) <= set(name.lower)


@dataclass(frozen=True)
class Word:
    """A word of a text and its span; `joined`: whether only spaces separate it from the previous word."""

    text: str
    lower: str
    start: int
    end: int
    joined: bool


def words_of(text: str) -> list[Word]:
    """All words of a text, without punctuation."""
    words: list[Word] = []
    done = 0
    for match in WORD.finditer(text):
        joined = bool(words) and not text[done : match.start()].strip(SPACES)
        done = match.end()
        words.append(Word(match[0], match[0].lower(), match.start(), done, joined))
    return words


def spaced(text: str) -> list[str]:
    """The parts of a text between its spaces."""
    return [word for word in re.split(f"[{SPACES}]+", text) if word]


def is_determiner(word: str) -> bool:
    """Whether a word is an article, a number or the like."""
    return word.lower() in DETERMINERS or number(word.lower()) is not None


def find_mentions(text: str, names: Sequence[Name], more: int | None = None) -> list[Mention]:
    """Where a text mentions which of some objects, from left to right; each object at most once.

    Of several candidates the one with the most words of the name wins; among equal ones the first object gets
    the first. Objects from index `more` on are new: a number in the text may not include them.
    """
    words = words_of(text)
    more = len(names) if more is None else more
    candidates = [
        (-sum(map(len, mention.said)), mention.described, index, mention.start, mention)
        for index, name in enumerate(names)
        for mention in (_verbatim(text, name) if name.verbatim else _in_words(text, words, name))
    ]
    found: list[Mention] = []
    named: set[int] = set()
    for *_, index, _, mention in sorted(candidates, key=lambda candidate: candidate[:4]):
        if index in named:
            continue
        there = next((item for item in found if item.start < mention.end and mention.start < item.end), None)
        if there is None:
            there = mention
            found.append(there)
        elif not _has_room(there, mention, new=index >= more):
            continue
        there.objects.append(index)
        named.add(index)
    return sorted(found, key=lambda mention: mention.start)


def _has_room(there: Mention, mention: Mention, new: bool) -> bool:
    """Whether a mention of several objects can include one more."""
    if not (there.several and mention.several and there.start == mention.start and there.end == mention.end):
        return False
    return new or there.count is None or len(there.objects) < there.count


def _in_words(text: str, words: Sequence[Word], name: Name) -> Iterator[Mention]:
    """All possible mentions of an object, in a language that separates words by spaces."""
    if not name.words:
        return
    *others, last = name.lower
    for place, word in enumerate(words):
        if word.lower not in (last, plural(last)):
            continue
        first, unsaid = place, others
        while words[first].joined and words[first - 1].lower in unsaid:
            first -= 1
            unsaid = unsaid[: len(unsaid) - 1 - unsaid[::-1].index(words[first].lower)]
        before = words[first - 1] if words[first].joined else None
        determined = before is not None and is_determiner(before.text)
        said = [*(item.lower for item in words[first:place]), last]
        described = before is not None and not determined
        if len(said) < len(name.words) and (not name.is_plain or (described and len(said) == 1)):
            continue
        start = before.start if before and determined else words[first].start
        written = text[words[first].start : word.end]
        mention = Mention(start, word.end, text[start : words[first].start].rstrip(SPACES), written, said)
        mention.described = described
        mention.definite = determined and words[first - 1].joined and is_determiner(words[first - 2].text)
        own = number(name.determiner.lower()) or 1
        mention.several = own == 1 and (word.lower != last or (mention.count or 1) > 1)
        yield mention


def _verbatim(text: str, name: Name) -> Iterator[Mention]:
    """All literal occurrences of a name that are not part of longer words."""
    words = name.words[0]
    start = text.find(words)
    while start >= 0:
        end = start + len(words)
        if not _continues_word(words, text[max(start - 1, 0) : start]) and not _continues_word(
            words, text[end : end + 1]
        ):
            before = text[:start].rstrip(SPACES)
            begin = len(before) - len(name.determiner)
            told = begin >= 0 and before[begin:].lower() == name.determiner.lower()
            if not name.determiner or not told or _continues_word(words, text[max(begin - 1, 0) : begin]):
                begin = start
            yield Mention(begin, end, text[begin:start].rstrip(SPACES), words, [words])
        start = text.find(words, end)


def _continues_word(words: str, neighbour: str) -> bool:
    """Whether an adjacent character is part of the words, in a language that separates words by spaces."""
    spaceless = _SPACELESS.search(words) and _SPACELESS.fullmatch(neighbour)
    return bool(WORD.fullmatch(neighbour)) and not spaceless
