"""Remarks for people about plans and pictures, and some errors: sentences that can be translated."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH = {
    "unknown_words": "{name} has not learned: {words}. It knows {things}.",
    "capitals": "{name} has only learned to read small letters. Write the prompt without capitals.",
    "unknown_picture": (
        "{name} has not learned to look at pictures like this one. It knows flat {objects} on an even "
        "ground: what it plans and draws here is a guess."
    ),
    "too_many": "The prompt asks for {asked} things. {name} draws at most {most}.",
    "another_count": "Things that the prompt asks for: {asked}. Boxes in the plan: {boxes}.",
    "no_box": "The plan has no box, so nothing is held in its place.",
    "no_box_to_edit": "The plan has no box: the whole picture may change.",
    "left_as_it_is": (
        "The plan has no box that could be read, so the picture stays as it is. Say in other words what is "
        "to change, or write a box into the plan."
    ),
    "same_place": "{one} and {other} have the same place: one of them will be missing.",
    "overlap": "{one} and {other} overlap. {name} has only ever seen things side by side.",
    "dark_mask": "The mask of {one} is {color}, which cannot be seen on black. Choose a brighter colour.",
    "alike_masks": "The masks of {one} and {other}, {color} and {near}, can hardly be told apart.",
    "details": (
        "GoT draws from the plan's words and boxes alone: what the boxes say about {what} is left aside. "
        "Other models take it, through GoT Chain to JSON, GoT Chain to Masks or GoT Regional Conditioning."
    ),
    "all_switched_off": "All boxes of the plan are switched off. Switch one on in Edit Reasoning Chain.",
    "switched_off": "Left out, because switched off in the plan: {names}.",
    "switched_off_stays": "Words that stay, although switched off, because a sentence needs them: {names}.",
    "draws_smaller": (
        "Unless SSGM Encode has another size, this is drawn at {drawn} and enlarged to the picture's {size}: "
        "what changes will be softer than the rest."
    ),
    "regional_passes": (
        "This model hears its words in other ways than SD 1.5 and SDXL: each step takes {passes} passes, one "
        "for the background and one for each box."
    ),
    "regional_loras": (
        "LoRAs for single boxes: {passes}. Each step takes as many more passes for the prompt and for the "
        "negative, and exchanges the model's weights in between."
    ),
    "regional_unused_loras": "Not used: {names}. The plan has {boxes} boxes.",
    "regional_no_words": "Boxes without words, which get those of the whole picture: {boxes}.",
    "enlarged": (
        "Drawn at {drawn} and enlarged to the picture's {size}: what has changed is softer than the rest."
    ),
    # Pictures compared with their plans
    "picture_number": "Picture {number}:",
    "checked": (
        "In place: {there} of {planned} objects. Found where none was planned: {extra}. Score {score} of 1."
    ),
    "checked_edit": "As planned: {there} of {planned} changes. Score {score} of 1.",
    "changed_outside": "Outside the boxes {share} % of the picture has changed.",
    "not_told_apart": "Cannot be told apart, because they are found under the same name: {names}.",
    "unclear_change": "The plan does not say what becomes of {names}.",
    "annotated": "{done} annotated, {doubtful} of them doubtful: decide on these in GoT Review Dataset.",
    "looked_again": "Edits made: {edits}.",
    "picked": "Pictures drawn: {drawn}. The best has the seed {seed}.",
    # Plans of other models and editors
    "read_as_sides": (
        "Boxes are read as {order}: as corners, some would end before they begin. If they are corners, "
        "choose the notation {x_first} for x first or {y_first} for y first."
    ),
    "read_as_corners": (
        "Boxes are read as {order}, which is not said anywhere. If y comes first, choose the notation "
        "{y_first}; if they are {sides}, name them so."
    ),
    "read_as_fractions": "No number is larger than 1, so the boxes are read as fractions of the picture.",
    "read_as_percent": (
        "No number is larger than 100, so the boxes are read as percent of the picture. If they are "
        "thousandths, choose the notation {thousandths}; if pixels, {pixels}, and give the size."
    ),
    "more_than_it_has": (
        "Numbers up to {largest} are more than this notation has: the boxes are read as pixels."
    ),
    "read_as_thousandths": (
        "The boxes are read as thousandths of the picture, which is not said anywhere. If they are "
        "pixels, choose the notation {pixels}, and give the width and height."
    ),
    "larger_than_one": "Numbers are larger than 1, so the boxes are read as thousandths of the picture.",
    "size_is_stated": "The boxes are read as pixels of {size}, the size that the plan states.",
    "bbox_of_qwen3": (
        "{name} is read as Qwen3-VL writes it, in thousandths of the picture. If Qwen2.5-VL wrote it, "
        "choose the notation {pixels}, and give the width and height of the picture that it saw."
    ),
    "y_is_first": (
        "Boxes are read with y first, in thousandths, as Ideogram's elements and Gemini's {name} have "
        "them. If x comes first, choose the notation {x_first}."
    ),
    "no_choice_of_notation": (
        "GoT Plan chooses the notation itself. To choose it, give the answer to GoT Chain from Text."
    ),
    "no_box_read": "No box could be read in this plan.",
    "ends_in_the_middle": (
        "The text ends in the middle: what came last is left out or cut. Give the model more tokens."
    ),
    "words_around": "Words around the JSON are left out: {words}.",
    "words_behind": "Words behind the last box are left out: {words}.",
    "left_out": "Left out: {name} ({words}).",
    "thoughts": "The model's thoughts are left out: {words}.",
    "first_of_plans": "There are {count} plans in this answer: the first one is read. Left out: {names}.",
    "last_of_plans": (
        "There are {count} plans in this answer: the last, corrected one is read. Left out: {names}."
    ),
    "read_as_yolo": (
        "Words and four fractions in a line are read as YOLO writes them: the centre, then width and "
        "height. If they are corners, write them in brackets."
    ),
    "more_labels": "There are {labels} labels and {boxes} boxes: the last labels are left out.",
    "several_pictures": "Boxes of {count} pictures came in: those of the first are read.",
    "no_four_numbers": "No four numbers could be read in {numbers}: there is no box.",
    "not_four_of": "No four numbers could be read in {numbers}, and so there is no box: {names}.",
    "fewer_than_four": "A box has fewer than four numbers, and is left out: {names}.",
    "outline": "Only the box around its outline is kept: {names}.",
    "not_read": "Not read ({entry}): {names}.",
    "nothing_usable": "Without words and a usable box, and so left out: {names}.",
    "not_finite": "Its box is left out, because it does not hold four numbers: {names}.",
    "swapped_corners": "The corners were swapped, and have been corrected: {names}.",
    "no_area": "Its box is left out, because it has no area: {names}.",
    "outside": "Its box is left out, because it lies outside the picture: {names}.",
    "cut_at_the_edge": "Its box reached beyond the picture, and ends at the edge now: {names}.",
    "own_prompt": "The plan's own prompt is left out: {words}.",
    "too_many_boxes": "Left out, because a chain holds at most {most} boxes: {names}.",
    "nameless": "Without words, and called {called}; rename it in the editor: {names}.",
    "special_signs": "Special signs in the words are left out, which a chain cannot hold: {names}.",
    "colors_unread": "Colours are left out that cannot be read, or are more than {most}: {names}.",
    "words_only": "Without a box, and so in words only: {names}.",
    "locked_moved": "The model put {name} elsewhere; it stays in its locked box.",
    "locked_added": "The model left out {name}, which is locked; it was added.",
    "more_like_these": "{count} more like these",
    # Plans that cannot be read at all
    "plan_too_long": "This is too long for a plan: at most {most} characters are read.",
    "plan_too_nested": (
        "The plan is nested too deep, or holds too many values. Give the list of its boxes alone."
    ),
    "no_words_with_box": (
        "No box with words could be read in {received}. Each thing needs its words and its box, such as "
        "{example}."
    ),
    "no_locations": "No four {location} in a row could be read in {received}. Give the model's whole answer.",
    "no_canvas": (
        "No line of the {name} canvas could be read. Give its whole answer, with its calls of {call}."
    ),
    "only_thoughts": (
        "There are only the model's thoughts, and no answer behind them: {words}. Let it write more tokens, "
        "or turn its thinking off."
    ),
    "prompt_empty": "The prompt is empty. Say what the picture should show or how it should change.",
    "prompt_too_long": "The prompt may have {most} characters, got {count}. Shorten it.",
    "prompt_special": "The prompt must not contain the special token {token} (character {place}).",
}
"""Each sentence by its key, with a placeholder in braces for each of its values."""

Value = str | Mapping[str, str]
"""A text, or one per language."""


class Note(str):
    """A sentence; the string itself is the English one.

    Attributes:
        key: identifies the sentence.
        values: its placeholders' values.
    """

    key: str
    values: Mapping[str, Value]

    def __new__(cls, key: str, **values: Value) -> Note:
        note = super().__new__(cls, said(ENGLISH[key], values, "en"))
        note.key, note.values = key, values
        return note

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Value]]:  # to be copied, and sent to workers
        return (self.key,), dict(self.values)


def said(template: str, values: Mapping[str, Value], language: str) -> str:
    """A sentence in a language, falling back to English for values that are not translated."""
    texts = {
        name: value if isinstance(value, str) else value.get(language, value["en"])
        for name, value in values.items()
    }
    return template.format_map(texts)
