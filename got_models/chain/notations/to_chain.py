"""Converting a plan to a chain: boxes after the words of its prose, or in generated sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...errors import short_repr
from ...notes import Note
from ..chain import MAX_REGIONS, ReasoningChain
from ..characters import SPACES, clean
from ..details import MAX_COLORS, MAX_LETTERING, PLAIN, Stated
from ..notation import Problem, box_markup, free_colors, marked, scan, without
from .colors import color_name, hex_palette
from .plan import Element, LayoutPlan, listed
from .wording import HAN, KANA, Named, sentences_about

NAMELESS = "an object"
_STOPS = (".", "!", "?", "\u3002", "\uff01", "\uff1f", "\u2026", ":", "\uff1a", "\n")


def plan_to_chain(plan: LayoutPlan, task: str, prompt: str = "") -> ReasoningChain:
    """The chain of a plan. Its warnings begin with the plan's notes, and list what a chain cannot hold.

    Args:
        prompt: the sentence that the plan is for; where it is empty, the plan's own, or else its words.
    """
    notes = list(plan.notes)
    prose = clean(plan.prose)
    named = _held(plan.elements, notes) if prose == plan.prose else _held(_unplaced(plan.elements), notes)
    text = _text(prose, named)
    chain = ReasoningChain.read(text, task, "", expects_colors=False)
    details = [Stated(item.color, item.phrase, item.detail) for item in named if item.box]
    chain = chain.with_details([each for each in details if each.detail != PLAIN])
    own = plan.prompt.strip()
    if prompt.strip() and own and own not in prompt and own not in chain.words:
        notes.append(Note("own_prompt", words=short_repr(own, 100)))
    prompt = prompt if prompt.strip() else own or chain.words
    return replace(chain, prompt=clean(prompt), warnings=tuple(dict.fromkeys((*notes, *chain.warnings))))


def _unplaced(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    return tuple(replace(element, span=None) for element in elements)


def _held(elements: tuple[Element, ...], notes: list[str]) -> list[Named]:
    """The elements as a chain can hold them; anything else is noted."""
    named: list[Named] = []
    taken: set[str] = set()
    left_out: list[str] = []
    nameless: list[str] = []
    changed: list[str] = []
    unread: list[str] = []
    boxes = 0
    for number, element in enumerate(elements, 1):
        phrase = held_phrase(_words(element))
        if not phrase.startswith(_one_line(_words(element)).rstrip(".\u3002")):
            changed.append(short_repr(phrase))
        if not phrase:
            nameless.append(f"box {number}")
            phrase = NAMELESS
        if element.box:
            boxes += 1
            if boxes > MAX_REGIONS:
                left_out.append(short_repr(phrase))
                continue
        color = color_name(element.palette) or ""
        color = "" if color in taken else color
        palette = () if color else hex_palette(element.palette)
        if len(palette) < len(element.palette) and not color:
            unread.append(short_repr(phrase))
        detail = replace(element.detail, text=clean(element.text)[:MAX_LETTERING], palette=palette)
        named.append(Named(phrase, element.grid_box, color, element.span, detail))
        taken.add(color)
    for key, names, values in (
        ("too_many_boxes", left_out, {"most": str(MAX_REGIONS)}),
        ("nameless", nameless, {"called": f"'{NAMELESS}'"}),
        ("special_signs", changed, {}),
        ("colors_unread", unread, {"most": str(MAX_COLORS)}),
        ("words_only", [short_repr(item.phrase) for item in named if not item.box], {}),
    ):
        if names:
            notes.append(Note(key, names=listed(names), **values))
    free = iter(free_colors([color for color in taken if color]))
    return [item if item.color or not item.box else replace(item, color=next(free)) for item in named]


def _words(element: Element) -> str:
    """The words of an element, including those of its lettering."""
    if not element.text or element.text.lower() in element.phrase.lower():
        return element.phrase
    if HAN.search(element.phrase or element.text):
        return f"{element.phrase}\u201c{element.text}\u201d"
    quoted = f'the text "{element.text}"'
    return f"{element.phrase} with {quoted}" if element.phrase else quoted


def _one_line(words: str) -> str:
    return re.sub(rf"[{SPACES}]*\n[{SPACES}\n]*", " ", clean(words)).strip(f"{SPACES}\n")


def held_phrase(words: str) -> str:
    """The words on one line, without what would be a box or a token in a chain."""
    phrase = _one_line(words)
    for _ in range(9):  # what is cut may bring other signs together
        found, problems = scan(phrase)
        cuts = [problem for problem in problems if problem.cut] + [
            Problem(item.start, item.end, "") for item in found
        ]
        if not cuts:
            break
        phrase = without(phrase, sorted(cuts, key=lambda cut: cut.start)).strip(f"{SPACES}\n")
    phrase = phrase.replace("<|", "<").replace("|>", ">").strip(f"{SPACES}\n")
    if len(phrase.split()) > 2 and phrase[-1:] in (".", "\u3002") and phrase[-2:-1].isalnum():
        phrase = phrase[:-1]
    return phrase


def _text(prose: str, named: Sequence[Named]) -> str:
    """The prose with boxes after the words that it mentions, and sentences about the rest."""
    spans = _spans(prose, named)
    text, done = "", 0
    for place in sorted(spans, key=lambda place: spans[place]):
        start, end = spans[place]
        box = named[place].box
        if box:
            text += f"{prose[done:start]}{marked(prose[start:end])} {box_markup(box, named[place].color)}"
            done = end
    text = (text + prose[done:]).rstrip(f"{SPACES}\n")
    rest = [item for place, item in enumerate(named) if place not in spans]
    if not rest or not text:
        return text + sentences_about(rest)
    stop = "" if text.endswith(_STOPS) else "\u3002" if HAN.search(text[-1:]) else "."
    return f"{text}{stop} {sentences_about(rest)}"


def _spans(prose: str, named: Sequence[Named]) -> dict[int, tuple[int, int]]:
    """Where the prose mentions elements: all of them, or the first ones in order, which is kept."""
    spans = {place: item.span for place, item in enumerate(named) if item.span}
    taken = sorted(spans.values())
    for place, item in enumerate(named):
        if place not in spans and (span := named_at(prose, item.phrase, taken)):
            spans[place] = span
            taken.append(span)
    if len(spans) < len(named):
        kept: dict[int, tuple[int, int]] = {}
        for place, item in enumerate(named):
            if not item.span and (place not in spans or (kept and spans[place] < max(kept.values()))):
                break
            kept[place] = spans[place]
        return {**kept, **{place: item.span for place, item in enumerate(named) if item.span}}
    return spans


def named_at(prose: str, phrase: str, taken: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The first place where the prose has a phrase as separate words, not taken by another element."""
    first = phrase[0]
    edges = [r"(?<!\w)" if _is_spaced(first) else "", r"(?!\w)" if _is_spaced(phrase[-1]) else ""]
    first = f"[{re.escape(first.lower())}{re.escape(first.upper())}]" if first.isascii() else re.escape(first)
    for match in re.finditer(f"{edges[0]}{first}{re.escape(phrase[1:])}{edges[1]}", prose):
        if all(match.end() <= start or match.start() >= end for start, end in taken):
            return match.span()
    return None


def _is_spaced(character: str) -> bool:
    """Whether a word with this end has a space or punctuation next to it."""
    return character.isalnum() and not HAN.match(character) and not KANA.match(character)
