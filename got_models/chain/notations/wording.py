"""Sentences that name objects in order, in the language of their words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ..details import PLAIN, Detail
from ..english import article
from ..notation import DETERMINERS, box_markup, marked
from ..region import Box
from ..sentences import with_objects

HAN, KANA = re.compile("[\u3400-\u9fff\uf900-\ufaff]"), re.compile("[\u3040-\u30ff]")
_INNER_STOP = re.compile("[,.;:!?\uff0c\u3002\uff1b\uff1a]")
# A sentence with two things in it, and with one, in the language of the words.
_TWO = {
    "en": "There are {} and {}.",
    "zh": "\u753b\u9762\u4e2d\u6709{}\u548c{}\u3002",
    "ja": "{}\u3068{}\u3002",
    "": "{}, {}.",
}
_ONE = {"en": "There is {}.", "zh": "\u753b\u9762\u4e2d\u6709{}\u3002", "ja": "{}\u3002", "": "{}."}
_BEHIND_A_NOUN = re.compile(
    r" (?:of|with|on|in|at|under|near|by|from|for|behind|beside|holding|wearing|that|which|who|and)\b.*",
    re.ASCII,
)
# What takes no article of ours: other languages' articles, pronouns, and words for what cannot be counted.
_NO_ARTICLE = frozenset(
    """un une le la les des du der die das ein eine einen el los las una il lo gli os as um uma de no all both
    each every any my your our other more most few much which what
    water sky grass sand snow ice fog mist smoke fire light sunlight moonlight hair fur text lettering ground
    furniture clothing food bread rice wood stone glass metal concrete soil mud rain steam fabric""".split()  # noqa: SIM905
)
_PLURALS = ("people", "children", "men", "women", "feet", "teeth", "mice", "geese")


@dataclass(frozen=True)
class Named:
    """An element as a chain can hold it: non-empty clean words, and a box on the grid or none."""

    phrase: str
    box: Box | None
    color: str
    span: tuple[int, int] | None
    detail: Detail = PLAIN


def sentences_about(named: Sequence[Named]) -> str:
    """Sentences that name the elements in order; those with simple words share one."""
    sentences = []
    for (language, simple), group in groupby(named, key=_manner):
        items = list(group)
        for part in [items] if simple else [[item] for item in items]:
            sentences.append(_sentence(part, language))
    return " ".join(sentences)


def _sentence(items: Sequence[Named], language: str) -> str:
    words = [_with_box(item, language) for item in items]
    if len(words) == 1:
        sentence = _ONE[language].format(words[0])
        many = language == "en" and _is_plural(items[0].phrase)
        return sentence.replace("There is", "There are", 1) if many else sentence
    seed = _TWO[language].format("1", "2")
    spans = [(seed.index(sign), seed.index(sign) + 1) for sign in "12"]
    return with_objects(seed, spans, [words[:-1], words[-1:]])[0]


def _manner(item: Named) -> tuple[str, bool]:
    """The language of an element's words as far as it matters, and whether they fit into a row of others."""
    language = "en" if re.match("[a-z0-9]", item.phrase) else ""
    if KANA.search(item.phrase):
        language = "ja"
    elif HAN.search(item.phrase):
        language = "zh"
    return language, not (_INNER_STOP.search(item.phrase) or item.phrase[0].isupper())


def _with_box(item: Named, language: str) -> str:
    before = _article(item.phrase) if language == "en" else ""
    if not item.box:
        return before + item.phrase
    return f"{before}{marked(item.phrase)} {box_markup(item.box, item.color)}"


def _article(phrase: str) -> str:
    """The article for a name such as "red apple", which is not part of the phrase."""
    first = phrase.split()[0]
    if not first.isascii() or not first.isalpha() or first in DETERMINERS or first in _NO_ARTICLE:
        return ""
    return "" if _is_plural(phrase) or _noun(phrase) in _NO_ARTICLE else f"{article(first)} "


def _noun(phrase: str) -> str:
    return _BEHIND_A_NOUN.sub("", phrase).split()[-1].strip(",.;:").lower()


def _is_plural(phrase: str) -> bool:
    noun = _noun(phrase)
    if phrase.split()[0] in ("a", "an", "one"):
        return False
    return noun in _PLURALS or bool(re.search("[^sui]s$", noun))
