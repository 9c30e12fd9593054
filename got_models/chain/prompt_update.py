"""Updating the prompt after a person has edited the plan.

The UNet sees the prompt as well as the plan, and where the two disagree it may follow the prompt. So changes
of the plan are applied to the prompt too: renamed, added and removed objects, and words outside the boxes
such as the background. All other words are kept. Where the prompt does not mention an object, or its sentence
would become ungrammatical, it is left unchanged and the change is reported as missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from .chain import ReasoningChain, Region
from .characters import composed
from .english import ARTICLES, article, capital_like, number, number_like, plural
from .mentions import Mention, Name, find_mentions, spaced
from .rewording import reworded
from .sentences import BESIDE_IT, with_objects

_MAX_QUOTE = 60


@dataclass(frozen=True)
class PromptUpdate:
    """`missed` says, in sentences for the artist, which changes of the plan the prompt does not reflect."""

    prompt: str
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Change:
    """What an object was called before and is called now; None where it did not exist, or was removed.

    `place`: its index in the new plan.
    """

    before: str | None
    after: str | None
    place: int = -1

    @property
    def is_none(self) -> bool:
        return (
            self.before is not None and self.after is not None and self.before.lower() == self.after.lower()
        )


def updated_prompt(prompt: str, before: ReasoningChain, after: ReasoningChain) -> PromptUpdate:
    """The prompt of `before`, changed as `before` was changed to become `after`.

    Objects are matched between the plans by the colour of their boxes.
    """
    prompt = composed(prompt)
    changes = _changes(before.regions, after.regions)
    named = find_mentions(prompt, [Name.of(change.before or "") for change in changes])
    prompt, missed = reworded(prompt, before, after, [(mention.start, mention.end) for mention in named])
    related = len(BESIDE_IT.findall(after.text)) >= len(BESIDE_IT.findall(before.text))
    if not related or any(not change.is_none for change in changes):
        prompt, more = _with_changes(prompt, changes, before.task, related)
        missed += more
    return PromptUpdate(prompt, tuple(missed))


def _changes(before: Sequence[Region], after: Sequence[Region]) -> list[_Change]:
    """The changes of the existing objects, followed by the new ones."""
    places = {region.color: place for place, region in enumerate(before) if region.phrase}
    now: list[int | None] = [None] * len(before)
    new: list[int] = []
    last = -1
    for count, region in enumerate(after):
        place = places.get(region.color, -1)
        same = place >= 0 and before[place].phrase == region.phrase
        if region.phrase and (place > last or same):  # else a new object reuses the colour of a removed one
            now[place] = count
            last = max(last, place)
        elif region.phrase:
            new.append(count)
    for place, region in enumerate(before):  # a box that was retyped may have another colour
        twin = next((count for count in new if after[count].phrase == region.phrase), None)
        if now[place] is None and twin is not None:
            now[place] = twin
            new.remove(twin)
    changes = [
        _Change(region.phrase, None)
        if number is None
        else _Change(region.phrase, after[number].phrase, number)
        for region, number in zip(before, now, strict=True)
        if region.phrase
    ]
    return changes + [_Change(None, after[count].phrase, count) for count in new]


def _with_changes(prompt: str, changes: Sequence[_Change], task: str, related: bool) -> tuple[str, list[str]]:
    """The prompt with its objects updated, and the changes that it does not reflect."""
    old = [change for change in changes if change.before is not None]
    names = [Name.of(change.before or change.after or "") for change in changes]
    mentions = find_mentions(prompt, names, len(old))
    named = {index: place for place, mention in enumerate(mentions) for index in mention.objects}
    missed: list[str] = []
    added: list[tuple[int, str]] = []
    for index, change in enumerate(changes):
        if index in named or change.is_none or not change.after:
            continue
        if change.before is not None:
            missed.append(f"The prompt does not name {_quoted(change.before)}: it is left unchanged.")
        elif task == "edit":
            missed.append(
                f"The instruction does not say what to do with {_quoted(change.after)}. Add it by hand."
            )
        else:
            earlier = [other for other in named if 0 <= changes[other].place < change.place]
            place = named[max(earlier, key=lambda other: changes[other].place)] if earlier else -1
            between = place >= 0 and any(
                changes[other].place > change.place for other in mentions[place].objects
            )
            at = place if between else place + 1
            if between or (at < len(mentions) and mentions[at].is_counted):
                mentions[at].objects.append(index)  # between or before objects that one word covers
            else:
                added.append((at, change.after))
    objects: list[list[str]] = []
    for mention in mentions:
        text = prompt[mention.start : mention.end]
        now = _now(mention, text, names, changes)
        if now is None:
            missed.append(
                f"The prompt says {_quoted(text)}, which cannot be changed by itself. Fix it by hand."
            )
        objects.append([text] if now is None else now)
    spans = [(mention.start, mention.end) for mention in mentions]
    updated, stay = with_objects(prompt, spans, objects, added, related)
    for place in stay:
        text = prompt[mentions[place].start : mentions[place].end]
        missed.append(f"The prompt still names {_quoted(text)}, which its sentence needs. Fix it by hand.")
    return capital_like(updated, prompt), missed


def _now(mention: Mention, text: str, names: Sequence[Name], changes: Sequence[_Change]) -> list[str] | None:
    """The objects that replace a mention; None where its wording does not allow it."""
    own = [changes[index] for index in mention.objects]
    if mention.several:
        return _several(mention, text, names, changes)
    (change,) = own
    if change.is_none or change.before is None:
        return [text]
    if change.after is None:
        return []
    old, new = names[mention.objects[0]], Name.of(change.after)
    words = _new_words(mention, old, new)
    if not words:
        return None
    determiner = mention.determiner
    if _counts_otherwise(mention, old, new):
        determiner = capital_like(new.determiner, determiner)
    if determiner.lower() in ARTICLES and words[0].lower() != spaced(mention.words)[0].lower():
        determiner = capital_like(article(words[0]), determiner)
    if not determiner and mention.words[0] != old.words[0][0]:
        words[0] = capital_like(words[0], mention.words)
    gap = text[len(mention.determiner) : len(text) - len(mention.words)] if mention.determiner else " "
    return [f"{determiner}{gap}{' '.join(words)}" if determiner else " ".join(words)]


def _several(
    mention: Mention, text: str, names: Sequence[Name], changes: Sequence[_Change]
) -> list[str] | None:
    """What replaces "two red circles" when some of them change, in the new plan's order.

    The remaining ones may still be counted, if at most one other object follows.
    """
    single = (*spaced(mention.words)[:-1], mention.said[-1])
    now: list[tuple[str, ...]] = []
    for index in sorted(mention.objects, key=lambda index: changes[index].place):
        change = changes[index]
        if change.is_none or (change.before is None and mention.says(names[index])):
            now.append(single)
        elif change.after and change.before is not None:
            now.append(tuple(_new_words(mention, names[index], Name.of(change.after))))
        elif change.after:
            now.append(names[index].words)
    if () in now:
        return None
    as_before = set(now) == {single} and (len(now) > 1 or len(mention.objects) == 1)
    if as_before and (mention.count is None or len(now) == len(mention.objects) <= mention.count):
        return [text]
    if not now:
        return []
    uneven = len(set(now)) > 1 or (len(now) == 1 and len(mention.objects) > 1)
    if uneven and (mention.count is None or mention.definite):
        return None
    if mention.count is None:
        determiner = [mention.determiner] if mention.determiner else []
        return [" ".join([*determiner, *now[0][:-1], plural(now[0][-1])])]
    first = len(list(takewhile(lambda words: words == now[0], now)))
    runs = [first, *[1] * (len(now) - first)] if len(now) - first < 2 else [1] * len(now)
    places = accumulate([0, *runs[:-1]])
    return [
        _counted(count, now[place], mention, first=place == 0)
        for place, count in zip(places, runs, strict=True)
    ]


def _counted(count: int, words: Sequence[str], mention: Mention, first: bool) -> str:
    """A counted noun phrase in the style of a mention."""
    like = mention.determiner if first else mention.determiner.lower()
    if count == 1:
        return " ".join([capital_like(article(words[0]), like), *words])
    return " ".join([number_like(count, like), *words[:-1], plural(words[-1])])


def _new_words(mention: Mention, old: Name, new: Name) -> list[str]:
    """The words of a new name, without those of the old one that the mention omits; empty if unclear."""
    if len(mention.said) == len(old.words):
        return list(new.words)
    if not new.is_plain:
        return []
    unsaid = [word for word in old.lower if word not in mention.said]
    return [word for word in new.words if word.lower() not in unsaid]


def _counts_otherwise(mention: Mention, old: Name, new: Name) -> bool:
    """Whether the article or number of a new name contradicts the mention."""
    first, second = old.determiner.lower(), new.determiner.lower()
    if first == second or not second or {first, second} <= set(ARTICLES):
        return False
    return bool(mention.determiner) or (number(second) or 1) > 1


def _quoted(words: str) -> str:
    return f"'{words}'" if len(words) <= _MAX_QUOTE else f"'{words[: _MAX_QUOTE - 3]}...'"
