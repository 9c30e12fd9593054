"""Several steps in one conversation, against plain transformers that read all of it again each time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from got_models.__main__ import main
from got_models.chain.chain import ReasoningChain
from got_models.conversation import Turn
from got_models.diffusion.settings import SamplingSettings
from got_models.errors import GoTError, Interrupted
from got_models.mllm.kv_cache import modality_ids
from got_models.mllm.prompts import conversation
from got_models.mllm.reasoner import picture_patches
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel

PROMPT = "make the blue square green and remove the star"
SOURCE = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
FIRST = "1. The area is a blue square <|box_start|>(102,203),(398,497)<|box_end|> (red)."
SECOND = "2. The area is a star <|box_start|>(570,250),(890,700)<|box_end|> (red)."
LOOK, DRAW = "<|im_gen_end|><|vision_start|>", "<|im_gen_start|>"
SCRIPT = [FIRST + DRAW, LOOK, SECOND + DRAW, LOOK, "Done.<|endoftext|>"]
IMAGE_TOKENS = "".join(f"<|im_gen_{index:04d}|>" for index in range(64))


@pytest.fixture
def fresh(checkpoint: Path) -> GoTModel:
    return GoTModel.from_pretrained(checkpoint)


@contextmanager
def scripted(model: GoTModel, pieces: Sequence[str]) -> Iterator[list[int]]:
    """The MLLM writes these; behind them it is left alone. Gives the list of what is still to come."""
    remaining = [
        token
        for piece in pieces
        for token in model.parts.reasoner().tokenizer(piece, add_special_tokens=False)["input_ids"]
    ]

    def dictate(module: Any, inputs: Any, logits: Tensor) -> Tensor:
        if not remaining:
            return logits
        logits = torch.zeros_like(logits)
        logits[..., remaining.pop(0)] = 1.0
        return logits

    hook = model.parts.reasoner().mllm.lm_head.register_forward_hook(dictate)
    try:
        yield remaining
    finally:
        hook.remove()


def turns(model: GoTModel, most: int, source: Image.Image | None = SOURCE, **settings: Any) -> list[Turn]:
    drawing = SamplingSettings(steps=2, seed=5)
    settings = {"drawing": drawing, "scales": {"semantic": 2.0}, "size": (64, 96), **settings}
    return list(model.converse(PROMPT, source).turns(most, **settings))


class Transformers:
    """The whole conversation as one text and its pictures, read in one pass with nothing kept."""

    def __init__(self, model: GoTModel, task: str, source: Image.Image | None) -> None:
        self.reasoner = model.parts.reasoner()
        self.pictures: list[tuple[Tensor, Tensor]] = []
        self.text = conversation(self.reasoner.tokenizer, task, PROMPT, 0 if source is None else 1)
        self.text = self.text.replace("<|image_pad|>", self.pads(source) if source is not None else "")

    def pads(self, picture: Image.Image) -> str:
        patches = picture_patches(self.reasoner.image_processor, picture, self.reasoner.vision_size)
        self.pictures.append(patches)
        return "<|image_pad|>" * (int(patches[1].prod()) // 4)

    def look(self, picture: Image.Image) -> None:
        self.text += LOOK + self.pads(picture) + "<|vision_end|>"

    def draw(self, chain: ReasoningChain) -> None:
        self.text += chain.text + DRAW + IMAGE_TOKENS

    def inputs(self) -> dict[str, Tensor]:
        ids = self.reasoner.tokenizer(self.text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        inputs = {"input_ids": ids, **modality_ids(self.reasoner.mllm, ids)}
        if self.pictures:
            inputs["pixel_values"] = torch.cat([pixels for pixels, _ in self.pictures])
            inputs["image_grid_thw"] = torch.cat([grid for _, grid in self.pictures])
        return inputs

    @torch.no_grad()
    def hidden(self) -> Tensor:
        states: Tensor = self.reasoner.mllm.model(**self.inputs(), use_cache=False).last_hidden_state
        return states[:, -64:]


@pytest.mark.parametrize("source", [SOURCE, None], ids=["edit", "generate"])
def test_every_chain_is_read_behind_all_that_was_said_and_drawn_before(
    fresh: GoTModel, source: Image.Image | None
) -> None:
    read: list[Tensor] = []
    hook = fresh.parts.ssgm().output_projector.register_forward_pre_hook(
        lambda _, given: read.append(given[0])
    )
    with scripted(fresh, SCRIPT) as remaining:
        first, second = turns(fresh, 5, source)
    hook.remove()
    assert remaining == []
    assert [turn.chain.text for turn in (first, second)] == [FIRST, SECOND]
    assert first.source is source and second.source is first.picture
    plain = Transformers(fresh, "generate" if source is None else "edit", source)
    plain.draw(first.chain)
    assert torch.allclose(read[0], plain.hidden(), atol=1e-4)
    plain.look(first.picture)
    plain.draw(second.chain)
    assert torch.allclose(read[2], plain.hidden(), atol=1e-4)  # between them zeros were projected


def test_the_next_words_are_those_that_transformers_own_generate_writes(fresh: GoTModel) -> None:
    """After its own picture the MLLM writes freely, greedily."""
    reasoner = fresh.parts.reasoner()
    talk = fresh.converse(PROMPT, SOURCE)
    pieces: list[str] = []
    with scripted(fresh, [FIRST + DRAW, LOOK]):
        chain = talk.reason()
        assert chain is not None
        drawn = fresh.sample(talk.encode(chain, (64, 64)), SamplingSettings(steps=2))
        talk.show(chain, drawn)
        following = talk.reason(GenerationSettings(max_new_tokens=24), on_text=pieces.append)
    plain = Transformers(fresh, "edit", SOURCE)
    plain.draw(chain)
    plain.look(drawn)
    inputs = plain.inputs()
    written = reasoner.mllm.generate(
        **inputs,
        attention_mask=torch.ones_like(inputs["input_ids"]),
        max_new_tokens=24,
        do_sample=False,
        eos_token_id=list(reasoner.stop_ids),
        pad_token_id=reasoner.token_ids.end_of_text,
    )[0, inputs["input_ids"].shape[1] :].tolist()
    ended = written[-1] in reasoner.stop_ids
    text = reasoner.tokenizer.decode(written[: len(written) - ended])
    assert len(text) > 10
    assert "".join(pieces).endswith(text)
    assert (following is not None) == (written[-1] == reasoner.token_ids.image_start)


def test_one_turn_is_what_reason_encode_and_sample_give(fresh: GoTModel, model: GoTModel) -> None:
    with scripted(fresh, [FIRST + DRAW]):
        (turn,) = turns(fresh, 1, keep_outside=False, size=(64, 64))
    expected = model.encode(ReasoningChain.parse(FIRST, "edit", PROMPT), SOURCE, (64, 64))
    scales = fresh.default_scales("edit")
    picture = model.sample(
        expected,
        settings=SamplingSettings(
            scales=type(scales)(2.0, scales.spatial, scales.reference), seed=5, steps=2
        ),
    )
    assert turn.picture.size == (96, 64)
    assert np.array_equal(turn.picture, picture.resize((96, 64), Image.Resampling.LANCZOS))


def test_each_picture_changes_the_one_before_inside_its_boxes_alone(fresh: GoTModel) -> None:
    with scripted(fresh, SCRIPT):
        first, second = turns(fresh, 2)
    before, after = np.asarray(first.picture), np.asarray(second.picture)
    assert np.array_equal(before[:, :50], after[:, :50])  # the star's box begins at 570 of 1000
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    "script",
    [
        [FIRST + DRAW, "<|endoftext|>"],
        [FIRST + DRAW, "<|im_end|>"],
        [FIRST + DRAW, SECOND + DRAW],  # it does not look
        [FIRST + DRAW, LOOK, SECOND + "<|im_end|>"],  # it does not draw
        [FIRST + DRAW, LOOK, "<|vision_start|>"],
    ],
)
def test_the_conversation_ends_when_the_mllm_wants_no_more(fresh: GoTModel, script: list[str]) -> None:
    with scripted(fresh, script):
        assert [turn.chain.text for turn in turns(fresh, 3)] == [FIRST]


def test_the_bundled_model_which_never_learned_to_look_draws_one_picture(model: GoTModel) -> None:
    assert len(turns(model, 3)) == 1


def test_no_more_turns_are_taken_than_asked_for(fresh: GoTModel) -> None:
    with scripted(fresh, [FIRST + DRAW, *[LOOK, SECOND + DRAW] * 5]) as remaining:
        assert len(turns(fresh, 3)) == 3
        assert len(remaining) > 0


@pytest.mark.parametrize("most", [0, -1])
def test_less_than_one_turn_is_refused(model: GoTModel, most: int) -> None:
    with pytest.raises(GoTError, match=f"at least 1 turn, got {most}"):
        turns(model, most)


def test_every_token_and_step_asks_whether_to_stop(fresh: GoTModel) -> None:
    asked: list[int] = []
    with scripted(fresh, SCRIPT):
        turns(fresh, 5, should_stop=lambda: bool(asked.append(1)))
    tokens = sum(
        len(fresh.parts.reasoner().tokenizer(piece, add_special_tokens=False)["input_ids"])
        for piece in SCRIPT
    )
    total = len(asked)
    assert total >= tokens + 2 * 2
    for stop_at in range(1, total + 1, 37):
        asked.clear()
        with scripted(fresh, SCRIPT), pytest.raises(Interrupted):
            turns(fresh, 5, should_stop=lambda at=stop_at: bool(asked.append(1)) or len(asked) == at)
        assert len(asked) == stop_at


def test_the_command_line_writes_every_turn(
    fresh: GoTModel, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("got_models.commands.drawing.load_model", lambda arguments: fresh)
    SOURCE.save(tmp_path / "source.png")
    options = ["--steps", "2", "--seed", "5", "--size", "96x64", "--semantic-scale", "2", "--turns", "4"]
    command = ["edit", str(tmp_path / "source.png"), PROMPT, *options, "--out", str(tmp_path / "out")]
    with scripted(fresh, SCRIPT):
        assert main(command) == 0
    with scripted(fresh, SCRIPT):
        expected = turns(fresh, 4)
    files = sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.*"))
    names = ["chain.json", "chain.txt", "image.png", "layout.png"]
    assert files == [f"turn-{number}/{name}" for number in (1, 2) for name in names]
    for number, turn in enumerate(expected, 1):
        folder = tmp_path / "out" / f"turn-{number}"
        assert np.array_equal(Image.open(folder / "image.png"), turn.picture)
        assert json.loads((folder / "chain.json").read_text())["text"] == turn.chain.text
    said = capsys.readouterr()
    assert FIRST in said.out and SECOND in said.out
    assert "ended after 2 of 4 turns" in said.err


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_the_command_line_refuses_no_turns(
    number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["edit", "x.png", PROMPT, "--turns", number, "--out", str(tmp_path / "out")])
    assert "--turns: expected a whole number of at least 1" in capsys.readouterr().err
