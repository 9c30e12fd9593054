"""Drafts save passes and change nothing: neither a token that is chosen nor, to the bit, a hidden state."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from got_models.chain.chain import ReasoningChain
from got_models.mllm import cuda_graphs
from got_models.mllm.generation import Written
from got_models.mllm.reasoner import Reasoner
from got_models.mllm.settings import GenerationSettings
from got_models.mllm.speculative_decoding import BLOCK, ROWS, DraftedPasses, Drafts
from got_models.pipeline import GoTModel
from tiny_model.world.edits import sample_edit
from tiny_model.world.language import sample_generation

from .conftest import BUNDLED

PROMPT = "a red circle to the left of a blue square"
TEXT = "A red circle <|box_start|>(102,203),(398,497)<|box_end|> (red) is left of a blue square " * 4
trained = pytest.mark.skipif(not (BUNDLED / "got.json").is_file(), reason="needs the trained checkpoint")


class Guessed(Drafts):
    """Drafts of which a share is right, from a chain that is known already."""

    def __init__(self, known: Sequence[int], share: float, seed: int) -> None:
        self.known = known
        self.share = share
        self.rng = random.Random(seed)

    def following(self, tokens: Sequence[int]) -> list[int]:
        right = self.known[len(tokens) : len(tokens) + ROWS - 1]
        return [token if self.rng.random() < self.share else self.rng.randrange(300) for token in right]


def states(reasoner: Reasoner, ids: list[int], share: float, seed: int = 0) -> Tensor:
    """The state before every token of a chain [length + 1, hidden], some of which is written twice."""
    context = reasoner.context("generate", PROMPT, None)
    passes = DraftedPasses(reasoner.mllm, reasoner.cache, context, Guessed(ids, share, seed))
    rng = random.Random(seed)
    found: dict[int, Tensor] = {}
    length = 0
    while len(found) <= len(ids):
        found[length] = passes.states(ids[:length])[0]
        length = max(0, length - 7) if rng.random() < 0.05 else length + 1
    return torch.stack([found[length] for length in range(len(ids) + 1)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_draft_changes_a_bit_of_what_is_read(checkpoint: Path, dtype: torch.dtype) -> None:
    """Also where keys and values grow by a block, and where a chain is cut back and written again."""
    reasoner = GoTModel.from_pretrained(checkpoint, dtype=dtype).parts.reasoner()
    ids = reasoner.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    before = len(reasoner.context("generate", PROMPT, None).tokens)
    assert before < BLOCK < before + len(ids)
    plain = states(reasoner, ids, share=0.0)
    for seed, share in enumerate((0.5, 0.9, 1.0)):
        assert torch.equal(states(reasoner, ids, share, seed), plain)


class Recorder(TorchDispatchMode):
    """Records what PyTorch computes, as a CUDA graph does: with every number of Python's as it is now."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        self.calls.append((operation, args, kwargs or {}, result))
        return result

    def replay(self, wanted: Tensor) -> Tensor:
        """Computes it again, and returns what has become of a tensor."""
        now: dict[int, Tensor] = {}

        def current(value: Any) -> Any:
            return now.get(id(value), value)

        for operation, args, kwargs, result in self.calls:
            again = operation(*tree_map(current, args), **tree_map(current, kwargs))
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor):
                    now[id(old)] = new
        return now[id(wanted)]


def test_a_recorded_pass_reads_what_a_pass_of_its_own_reads(
    model: GoTModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a card replays: nothing in a pass may depend on Python, or wait for a number from the card."""
    reasoner = model.parts.reasoner()
    ids = reasoner.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    plain = states(reasoner, ids, share=0.5)
    records: list[Recorder] = []

    def record(function: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
        with Recorder() as recorder:
            result = function()
        records.append(recorder)
        return lambda: recorder.replay(result)

    monkeypatch.setattr(cuda_graphs, "can_record", lambda device: True)
    monkeypatch.setattr(cuda_graphs, "record", record)
    assert torch.equal(states(reasoner, ids, share=0.5), plain)
    assert len(records) >= 2, "one for each length"
    names = {str(operation) for recorder in records for operation, *_ in recorder.calls}
    assert not {name for name in names if "_local_scalar_dense" in name or "lift" in name}


def test_what_no_graph_can_hold_is_read_without_one(
    model: GoTModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    reasoner = model.parts.reasoner()
    ids = reasoner.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    plain = states(reasoner, ids, share=0.5)
    monkeypatch.setattr(cuda_graphs, "can_record", lambda device: True)
    monkeypatch.setattr(cuda_graphs, "record", refuse)
    with caplog.at_level("INFO"):
        assert torch.equal(states(reasoner, ids, share=0.5), plain)
    assert caplog.text.count("without CUDA graphs: operation not permitted") == 1


def test_what_is_read_is_what_one_pass_through_everything_gives(model: GoTModel) -> None:
    reasoner = model.parts.reasoner()
    ids = reasoner.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    inputs = reasoner.inputs(reasoner.context("generate", PROMPT, None).followed_by(*ids))
    with torch.no_grad():
        whole = reasoner.mllm.model(**inputs, use_cache=False).last_hidden_state[0]
    assert torch.allclose(states(reasoner, ids, 0.5), whole[-len(ids) - 1 :], atol=1e-4)


def test_many_tokens_at_once_give_what_single_ones_give(model: GoTModel) -> None:
    """As locked regions are inserted, or tried."""
    reasoner = model.parts.reasoner()
    ids = reasoner.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    context = reasoner.context("generate", PROMPT, None)
    passes = DraftedPasses(reasoner.mllm, reasoner.cache, context, Drafts(reasoner.tokenizer, context.tokens))
    assert torch.equal(passes.states(ids, last=len(ids) + 1), states(reasoner, ids, 0.0))


def test_after_three_digits_of_a_box_comes_what_a_box_has_there(model: GoTModel) -> None:
    tokenizer = model.parts.reasoner().tokenizer
    drafts = Drafts(tokenizer, [])
    for before, after in (
        ("a cat <|box_start|>", "("),
        ("a cat <|box_start|>(987", ","),
        ("a cat <|box_start|>(987,654", "),("),
        ("a cat <|box_start|>(987,654),(321,765", ")<|box_end|> ("),
    ):
        ids = tokenizer(before, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(drafts.following(ids)).startswith(after)


def test_what_the_prompt_says_is_drafted(model: GoTModel) -> None:
    tokenizer = model.parts.reasoner().tokenizer
    drafts = Drafts(tokenizer, tokenizer("draw a large pink star")["input_ids"])
    ids = tokenizer("there is a large", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(drafts.following(ids)).startswith(" pink star")


@trained
@pytest.mark.parametrize(("task", "least"), [("generate", 1.5), ("edit", 1.25)])
def test_drafts_save_passes_and_change_no_token(
    model: GoTModel, monkeypatch: pytest.MonkeyPatch, task: str, least: float
) -> None:
    """Greedy, sampled, and around a locked region."""
    rng = random.Random(5)
    reasoner = model.parts.reasoner()
    passes: list[int] = []
    first: Any = reasoner.mllm.model.language_model.layers[0]
    tokens = fewer = 0
    for number in range(8):
        example = sample_generation(rng, evaluation=True) if task == "generate" else sample_edit(rng)
        source = example.look.draw(example.source) if example.source else None
        for settings in (
            GenerationSettings(temperature=0),
            GenerationSettings(temperature=1.0, seed=number),
            GenerationSettings(temperature=0, locked=[rng.choice(example.chain.regions)]),
        )[: 3 if number < 3 else 1]:
            written: list[Written] = []
            counts: list[int] = []
            for drafted in (True, False):
                with monkeypatch.context() as patch:
                    if not drafted:
                        patch.setattr(Drafts, "following", lambda self, tokens: [])
                    passes.clear()
                    hook = first.register_forward_pre_hook(lambda *_: passes.append(1))
                    context = reasoner.context(task, example.prompt, source)
                    written.append(reasoner.continue_conversation(context, settings))
                    hook.remove()
                counts.append(len(passes))
            assert written[0] == written[1]
            if not settings.locked:
                tokens, fewer = tokens + len(written[0].tokens) + 1, fewer + counts[0]
    assert tokens / fewer >= least


def test_a_picture_before_the_chain_moves_the_positions_after_it(model: GoTModel) -> None:
    reasoner = model.parts.reasoner()
    picture = Image.linear_gradient("L").resize((90, 60))
    text = ReasoningChain.parse("a red circle (1,2),(300,400)", "edit", PROMPT).text
    ids = reasoner.tokenizer(text, add_special_tokens=False)["input_ids"]
    context = reasoner.context("edit", PROMPT, picture)
    with torch.no_grad():
        whole = reasoner.mllm.model(**reasoner.inputs(context.followed_by(*ids)), use_cache=False)
    passes = DraftedPasses(reasoner.mllm, reasoner.cache, context, Drafts(reasoner.tokenizer, context.tokens))
    found = passes.states(ids, last=len(ids))
    assert torch.allclose(found, whole.last_hidden_state[0, -len(ids) :], atol=1e-4)
