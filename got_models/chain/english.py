"""English words around the name of an object: its article, its plural, small numbers."""

from __future__ import annotations

import re

ARTICLES = ("a", "an")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = re.compile("[1-9][0-9]?")
_AN = re.compile("[aeio]|h(?:eir|onest|onou?r|our)|u(?!ku|ni|s[aeiu]|t[ei])")
_DOUBTFUL = re.compile("[uh]|one|once|eu|ew")  # pronunciation decides, which the spelling may not show
_WORD = re.compile("[A-Za-z][a-z]")
_IRREGULAR = {
    "child": "children",
    "deer": "deer",
    "fish": "fish",
    "foot": "feet",
    "goose": "geese",
    "human": "humans",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "mouse": "mice",
    "person": "people",
    "sheep": "sheep",
    "shelf": "shelves",
    "tooth": "teeth",
    "wolf": "wolves",
}


def article(word: str) -> str:
    """The indefinite article for a word: ``an`` orange, ``a`` unicorn."""
    word = word.lower()
    return "an" if _AN.match(word) and not re.match("one|once|eu|ew", word) else "a"


def with_article(phrase: str) -> str:
    """A phrase with its ``a`` or ``an`` corrected for the next word, or unchanged where that is uncertain."""
    first, gap, rest = phrase.partition(" ")
    if first.lower() not in ARTICLES or not _WORD.match(rest) or _DOUBTFUL.match(rest.lower()):
        return phrase
    fitting = article(rest)
    return f"{capital_like(fitting, first)}{gap}{rest}"


def definite(phrase: str) -> str:
    """The phrase with "the" in place of "a" or "an", as in a question about a thing that may be there."""
    first, _, rest = phrase.partition(" ")
    return f"the {rest}" if first.lower() in ARTICLES and rest else phrase


def plural(noun: str) -> str:
    """The plural of a noun in lower case."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("man"):
        return f"{noun[:-2]}en"
    if re.search("(?:s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def number(word: str) -> int | None:
    """The number written as a lower-case word or as up to two digits."""
    if _DIGITS.fullmatch(word):
        return int(word)
    return NUMBERS.index(word) + 1 if word in NUMBERS else None


def number_like(count: int, word: str) -> str:
    """A number written in the same style as another: in digits or, up to ten, as a word."""
    if _DIGITS.fullmatch(word) or count > len(NUMBERS):
        return str(count)
    return capital_like(NUMBERS[count - 1], word)


def capital_like(word: str, other: str) -> str:
    """A word, capitalized if the other one is."""
    return word[:1].upper() + word[1:] if other[:1] != other[:1].lower() else word
