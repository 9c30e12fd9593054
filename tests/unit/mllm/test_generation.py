"""The loop that writes a chain: it ends whatever the MLLM does and whatever is locked, and can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from got_models.chain.chain import BOX_END, BOX_START, ReasoningChain
from got_models.errors import GoTError, Interrupted
from got_models.mllm.constrained_decoding import LockedRegions
from got_models.mllm.decoding import Decoding
from got_models.mllm.generation import TURNS_PER_TOKEN, Continuation, Writing

END = "<|endoftext|>"
STAR = "a Star (10,20),(300,400)"
CIRCLE = "a red circle (500,500),(900,900)"
LENGTH = 120


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    """Every byte is a token, and so are the markers of a box and of the end."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    tokenizer.add_tokens([BOX_START, BOX_END, END], special_tokens=True)
    return tokenizer


class Scripted(Continuation):
    """An MLLM that would write `wishes` over and over, and takes the next token where one is forbidden."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        wishes: str,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self.wishes = tokenizer(wishes, add_special_tokens=False)["input_ids"]
        self.should_stop = should_stop
        self.passes = 0

    def next_token(self, tokens: list[int], decoding: Decoding, forbidden: Collection[int]) -> int:
        self.passes += 1
        token = self.wishes[len(tokens) % len(self.wishes)]
        return next(other for other in range(token, 1000) if other not in forbidden)

    def regret(self, tokens: list[int], following: list[int]) -> float:
        self.stop_if_asked()
        self.passes += 1
        return 100.0

    def least_certain(self, tokens: list[int], start: int, refused: dict[int, set[int]]) -> int:
        self.stop_if_asked()
        self.passes += 1
        return len(tokens) - 2


def writing(
    tokenizer: PreTrainedTokenizerBase, continuation: Scripted, locked: str, length: int = LENGTH
) -> Writing:
    regions = ReasoningChain.parse(locked, "generate", "x").regions
    end, box_start = tokenizer.convert_tokens_to_ids([END, BOX_START])
    return Writing(
        continuation,
        tokenizer,
        Decoding(GenerationConfig(), None, None),
        LockedRegions(tokenizer, regions, length),
        box_start,
        [end],
        length,
        None,
    )


def copies(text: str, locked: str) -> int:
    (wanted,) = ReasoningChain.parse(locked, "generate", "x").regions
    held = ReasoningChain.read(text, "generate", "x").regions
    return [(region.phrase, region.box) for region in held].count((wanted.phrase, wanted.box))


def test_a_phrase_that_the_tokenizer_rewrites_is_an_error_that_names_it(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    chain = writing(tokenizer, Scripted(tokenizer, f"a wall.{END}"), f"{CIRCLE}, {STAR}")
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(GoTError, match=r"locked.*'a Star'.*[Uu]nlock"):
        chain.run()


@pytest.mark.parametrize(
    "wishes",
    [
        "a Star <|box_start|>(10,20),(300,400)<|box_end|>, ",
        "a dot <|box_start|>(1,2),(3,4)<|box_end|>, ",
        "a Star (10,20),(300,400), ",
        "<|box_start|>",
        "((((",
        END,
    ],
)
def test_whatever_the_mllm_repeats_the_chain_ends_and_holds_what_is_locked(
    tokenizer: PreTrainedTokenizerBase, wishes: str
) -> None:
    continuation = Scripted(tokenizer, wishes)
    text = writing(tokenizer, continuation, f"{CIRCLE}, {STAR}").run().text
    assert copies(text, CIRCLE) == copies(text, STAR) == 1
    assert continuation.passes <= 3 * TURNS_PER_TOKEN * LENGTH


def test_more_boxes_than_a_chain_may_have_do_not_keep_it_from_ending(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("got_models.mllm.constrained_decoding.MAX_REGIONS", 5)
    continuation = Scripted(tokenizer, "dot (1,2),(3,4), ")
    assert copies(writing(tokenizer, continuation, STAR).run().text, STAR) == 1
    assert continuation.passes <= 3 * TURNS_PER_TOKEN * LENGTH


@pytest.mark.parametrize("wishes", [END, "a wall ", "a Star (10,20),(300,400), ", "a dot <|box_start|>"])
def test_every_turn_asks_whether_to_stop(tokenizer: PreTrainedTokenizerBase, wishes: str) -> None:
    """Also those in which the MLLM does nothing, because a locked region is put in."""
    locked = f"{CIRCLE}, {STAR}"
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) == stop_at

    for stop_at in range(1, 6):
        asked.clear()
        continuation = Scripted(tokenizer, wishes, should_stop)
        try:
            writing(tokenizer, continuation, locked).run()
        except Interrupted:
            assert len(asked) == stop_at
            assert continuation.passes <= stop_at
        else:
            assert len(asked) < stop_at


@pytest.mark.parametrize("locked", ["", CIRCLE])
def test_a_stream_does_not_decode_the_chain_anew_for_every_token(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    decoded: list[int] = []
    decode = tokenizer.decode

    def counted(tokens: list[int], **options: bool) -> str:
        decoded.append(len(tokens))
        return str(decode(tokens, **options))

    monkeypatch.setattr(tokenizer, "decode", counted)
    pieces: list[str] = []
    wishes = "".join(f"a dot 猫 <|box_start|>({x},2),(300,400)<|box_end|>, " for x in range(9)) + END
    chain = writing(tokenizer, Scripted(tokenizer, wishes), locked, 500)
    chain.stream.on_text = pieces.append
    written = chain.run()
    assert "".join(pieces) == written.text == chain.locks.marked(decode(written.tokens))
    assert sum(decoded) < 40 * len(written.tokens)
