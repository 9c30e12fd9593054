"""Locked regions: where they go, what they replace, and what a text that holds them may not hold as well."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from got_models.chain.chain import BOX_END, BOX_START, MAX_REGIONS, ReasoningChain, Region
from got_models.errors import GoTError
from got_models.mllm.constrained_decoding import LockedRegions, only_regions

STAR = "a small yellow star <|box_start|>(10,20),(300,400)<|box_end|>"
CIRCLE = "a red circle <|box_start|>(500,500),(900,900)<|box_end|>"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    """Every byte is a token, and so are some words and the markers of a box."""
    words = ["Ġand", "Ġa", "Ġstar", "),(", "Ġ("]
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġs", "Ġst", "Ġsta", "Ġan", "),", *words]
    merges = [("Ġ", "a"), ("Ġa", "n"), ("Ġan", "d"), ("Ġ", "s"), ("Ġs", "t"), ("Ġst", "a"), ("Ġsta", "r")]
    merges += [(")", ","), ("),", "("), ("Ġ", "(")]
    core = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    tokenizer.add_tokens([BOX_START, BOX_END], special_tokens=True)
    return tokenizer


def regions(text: str) -> tuple[Region, ...]:
    return ReasoningChain.parse(text, "generate", "x").regions


class Writer:
    """Texts in place of tokens; the MLLM regrets as many as a table says, by the end of the text before."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text: str, limit: int = 1000) -> None:
        self.tokenizer = tokenizer
        self.locks = LockedRegions(tokenizer, regions(text), limit)
        self.regrets: dict[str, float] = {}

    def tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def text(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens))

    def regret(self, tokens: list[int], following: list[int]) -> float:
        before = self.text(tokens)
        return next((regret for end, regret in self.regrets.items() if before.endswith(end)), 100.0)

    def open_box(self, text: str) -> str:
        box_start = self.tokens(BOX_START)[0]
        return self.text(self.locks.open_box(self.tokens(text), box_start, self.regret))

    def insert_missing(self, text: str) -> str:
        return self.text(self.locks.insert_missing(self.tokens(text), self.regret))


def test_a_locked_region_takes_the_place_of_a_phrase_where_it_is_likely(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    writer = Writer(tokenizer, STAR)
    writer.regrets = {"there is": 0.5}
    assert writer.open_box("On a black background there is a large star ") == (
        f"On a black background there is {STAR}"
    )


def test_elsewhere_the_model_opens_its_own_box(tokenizer: PreTrainedTokenizerBase) -> None:
    writer = Writer(tokenizer, STAR)
    assert writer.open_box("There is a blue square ") == f"There is a blue square {BOX_START}"


def test_of_several_locked_regions_the_likeliest_takes_the_place(tokenizer: PreTrainedTokenizerBase) -> None:
    writer = Writer(tokenizer, f"{CIRCLE}, {STAR}")
    star = writer.tokens(f" {STAR}")
    opened = writer.locks.open_box(
        writer.tokens("there is a star "), 0, lambda _, following: 0.2 if following == star else 0.9
    )
    assert writer.text(opened) == f"there is {STAR}"


def test_a_region_that_is_there_already_is_not_put_in_again(tokenizer: PreTrainedTokenizerBase) -> None:
    writer = Writer(tokenizer, STAR)
    writer.regrets = {"and": 0.0}
    text = f"There is {STAR} (red) and a star "
    assert writer.open_box(text) == text + BOX_START


def test_what_is_missing_at_the_end_goes_before_the_full_stop(tokenizer: PreTrainedTokenizerBase) -> None:
    writer = Writer(tokenizer, STAR)
    assert writer.insert_missing(f"There is {CIRCLE} (red).") == f"There is {CIRCLE} (red) and {STAR}"


def test_what_is_missing_at_the_end_goes_back_to_its_best_place(tokenizer: PreTrainedTokenizerBase) -> None:
    writer = Writer(tokenizer, STAR)
    writer.regrets = {"there are": 9.0, "(red),": 4.0}
    first = "there are a square "
    second = f"{first}<|box_start|>(1,2),(3,4)<|box_end|> (red), a circle "
    assert writer.open_box(first).endswith(BOX_START)
    assert writer.open_box(second).endswith(BOX_START)
    end = f"{second}<|box_start|>(5,6),(7,8)<|box_end|> (green)."
    assert writer.insert_missing(end) == second.removesuffix("a circle ") + STAR


def test_several_missing_regions_are_put_in_from_left_to_right(tokenizer: PreTrainedTokenizerBase) -> None:
    """Each has its best place, and the first place counts: what stands behind it is written anew."""
    writer = Writer(tokenizer, f"{CIRCLE}, {STAR}")
    star = writer.tokens(f" {STAR}")

    def regret(tokens: list[int], following: list[int]) -> float:
        first_place = writer.text(tokens) == "there are"
        return 8.0 if first_place == (following == star) else 20.0

    first = "there are a square "
    second = f"{first}<|box_start|>(1,2),(3,4)<|box_end|> (red), a square "
    for text in (first, second):
        writer.locks.open_box(writer.tokens(text), 0, regret)
    end = writer.tokens(f"{second}<|box_start|>(5,6),(7,8)<|box_end|> (green).")
    assert writer.text(writer.locks.insert_missing(end, lambda *_: 30.0)) == f"there are {STAR}"


def test_a_box_that_is_not_complete_gives_way(tokenizer: PreTrainedTokenizerBase) -> None:
    writer = Writer(tokenizer, STAR)
    assert writer.insert_missing(f"There is a square {BOX_START}(12,3") == f"There is a square and {STAR}"


@pytest.mark.parametrize("before", ["", "a", "On a wall", "A list:\n", "In the end (", "Two <|box_end|>"])
@pytest.mark.parametrize(
    "locked",
    [
        STAR,
        "red (1,2),(3,4)",
        "four words with none (1,2),(3,4)",
        "<|obj_start|>the man, with a hat<|obj_end|> (1,2),(3,4)",
        ", (1,2),(3,4)",
        "a dog (not a wolf) (1,2),(3,4)",
        "a b<c (1,2),(3,4)",
    ],
)
def test_whatever_stands_before_it_the_phrase_is_read_back(
    tokenizer: PreTrainedTokenizerBase, before: str, locked: str
) -> None:
    writer = Writer(tokenizer, locked)
    (wanted,) = regions(locked)
    written = writer.insert_missing(before)
    assert "<|obj_start|>" not in written
    held = ReasoningChain.read(writer.locks.marked(written), "generate", "x").regions
    assert [(region.phrase, region.box) for region in held] == [(wanted.phrase, wanted.box)]


def test_a_second_copy_is_refused_and_the_same_phrase_elsewhere_is_not(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    writer = Writer(tokenizer, STAR)
    assert writer.locks.refuses(f"{STAR} (red) and a small yellow star (10,20),(300,400)")
    assert not writer.locks.refuses(f"{STAR} (red) and a small yellow star (10,20),(300,401)")


def test_boxes_that_leave_no_room_for_a_missing_region_are_refused(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    writer = Writer(tokenizer, STAR)
    others = [f"a dot ({number},1),(500,500)" for number in range(MAX_REGIONS)]
    assert not writer.locks.refuses(", ".join(others[:-1]))
    assert writer.locks.refuses(", ".join(others))
    assert not writer.locks.refuses(", ".join([STAR, *others[:-1]]))


@pytest.mark.parametrize("box", [" <|box_start|>(10,20),(300,400)<|box_end|>", " (10,20),(300,400)"])
def test_a_box_is_taken_back_whole(tokenizer: PreTrainedTokenizerBase, box: str) -> None:
    writer = Writer(tokenizer, STAR)
    assert writer.text(writer.locks.without_last_box(writer.tokens("a star" + box))) == "a star"


def test_too_few_tokens_for_the_locked_regions_are_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(GoTError, match=r"1 locked regions take \d+ tokens.*may have 5.*Raise max_new_tokens"):
        Writer(tokenizer, STAR, limit=5)


def test_what_may_still_change_is_not_certain(tokenizer: PreTrainedTokenizerBase) -> None:
    writer = Writer(tokenizer, STAR)
    assert writer.locks.certain(writer.tokens("There is a square (1,2),(3,4) (red)")) == ""
    text = f"There is {STAR} (red) and a square"
    assert writer.locks.certain(writer.tokens(f"{text} {BOX_START}(1,2),")) == text


def test_only_the_regions_of_the_given_colours_stay() -> None:
    chain = ReasoningChain.parse(
        "On a wall there is a cat (1,2),(3,4) (red), left of big dogs (5,6),(7,8) (green), and "
        "<|obj_start|>the man, with a hat<|obj_end|> (9,9),(20,20) (blue).",
        "edit",
        "x",
    )
    kept = only_regions(chain, ["blue", "green", "no such colour"])
    wanted = [(region.phrase, region.box, region.color) for region in chain.regions[1:]]
    assert [(region.phrase, region.box, region.color) for region in kept.regions] == wanted
    assert (kept.task, kept.prompt) == ("edit", "x")
    assert only_regions(chain, []).text == ""
