"""A chain and a seed give one picture to the last bit, whatever was written, read or interrupted before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from got_models.chain.chain import Box, ReasoningChain
from got_models.diffusion.guidance import Guidance
from got_models.diffusion.settings import SamplingSettings
from got_models.errors import Interrupted
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel

PROMPT = "a red circle to the left of a blue square"
TEXT = (
    "On a white background there is a red circle (102,203),(398,497), and to the right of it a small blue "
    "square (570,250),(890,700). Below both there is a large green triangle (200,600),(520,940), and in the "
    "upper right corner a yellow star (700,20),(960,220)."
)
SOURCE = Image.linear_gradient("L").resize((90, 60))
OTHER_SOURCE = SOURCE.transpose(Image.Transpose.ROTATE_90)
SOURCES = {"generate": None, "edit": SOURCE}
NUMBERS = {
    "float32": (torch.float32, None),
    "bfloat16": (torch.bfloat16, None),
    "float16": (torch.float16, None),
    "bfloat16, 8 bits": (torch.bfloat16, 8),
}


def chain(task: str) -> ReasoningChain:
    return ReasoningChain.parse(TEXT, task, PROMPT)


def reason(model: GoTModel, task: str) -> None:
    model.reason(PROMPT, SOURCES[task], settings=GenerationSettings(max_new_tokens=20))


def encode_what_was_reasoned(model: GoTModel, task: str) -> None:
    model.encode(
        model.reason(PROMPT, SOURCES[task], settings=GenerationSettings(max_new_tokens=70)), SOURCES[task]
    )


def reason_around_a_locked_region(model: GoTModel, task: str) -> None:
    model.reason(
        PROMPT, SOURCES[task], settings=GenerationSettings(locked=chain(task).regions[:2], max_new_tokens=90)
    )


def encode_another_chain(model: GoTModel, task: str) -> None:
    model.encode(ReasoningChain.parse("A star (1,2),(300,400).", task, "a star"), SOURCES[task])


def encode_for_the_other_task(model: GoTModel, task: str) -> None:
    other = "generate" if task == "edit" else "edit"
    model.encode(chain(other), SOURCES[other])


def encode_with_another_picture(model: GoTModel, task: str) -> None:
    model.encode(chain(task), OTHER_SOURCE if task == "edit" else None)


def encode_with_a_box_elsewhere(model: GoTModel, task: str) -> None:
    for index in (3, 0):
        model.encode(chain(task).move_box(index, Box(1, 2, 300, 400)), SOURCES[task])


def encode_at_once_again(model: GoTModel, task: str) -> None:
    model.encode(chain(task), SOURCES[task])


def interrupt_reasoning(model: GoTModel, task: str) -> None:
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) == 7

    with pytest.raises(Interrupted):
        model.reason(PROMPT, SOURCES[task], should_stop=should_stop)


def interrupt_encoding(model: GoTModel, task: str) -> None:
    def fail(module: object, inputs: object) -> None:
        raise MemoryError

    hook = model.parts.reasoner().mllm.model.language_model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(MemoryError):
        model.encode(chain(task).move_box(1, Box(1, 2, 300, 400)), SOURCES[task])
    hook.remove()


HISTORIES: list[Callable[[GoTModel, str], None]] = [
    reason,
    encode_what_was_reasoned,
    reason_around_a_locked_region,
    encode_another_chain,
    encode_for_the_other_task,
    encode_with_another_picture,
    encode_with_a_box_elsewhere,
    encode_at_once_again,
    interrupt_reasoning,
    interrupt_encoding,
]


def tensors(guidance: Guidance) -> list[Tensor]:
    values = [getattr(guidance, field.name) for field in fields(guidance)]
    return [value for value in values if isinstance(value, Tensor)]


@pytest.mark.parametrize("task", SOURCES)
@pytest.mark.parametrize("numbers", NUMBERS)
def test_whatever_was_read_before_the_guidance_is_that_of_a_fresh_model(
    checkpoint: Path, numbers: str, task: str
) -> None:
    dtype, bits = NUMBERS[numbers]
    fresh = GoTModel.from_pretrained(checkpoint, dtype=dtype, mllm_bits=bits).encode(
        chain(task), SOURCES[task]
    )
    used = GoTModel.from_pretrained(checkpoint, dtype=dtype, mllm_bits=bits)
    for history in HISTORIES:
        history(used, task)
        again = used.encode(chain(task), SOURCES[task])
        same = [torch.equal(one, other) for one, other in zip(tensors(fresh), tensors(again), strict=True)]
        assert all(same), history.__name__


@pytest.mark.parametrize("task", SOURCES)
def test_whatever_was_read_before_the_picture_is_the_same_in_bfloat16(checkpoint: Path, task: str) -> None:
    pictures = []
    for history in (None, encode_what_was_reasoned, encode_with_a_box_elsewhere):
        model = GoTModel.from_pretrained(checkpoint, dtype=torch.bfloat16)
        if history is not None:
            history(model, task)
        pictures.append(
            model.sample(
                model.encode(chain(task), SOURCES[task]), SamplingSettings(seed=3, steps=2, scheduler="ddpm")
            ).tobytes()
        )
    assert len(set(pictures)) == 1


@pytest.mark.parametrize("task", SOURCES)
def test_whatever_was_read_before_the_plan_is_that_of_a_fresh_model(checkpoint: Path, task: str) -> None:
    """The scores themselves are compared: in most plans their last bits decide nothing."""
    fresh, used = (GoTModel.from_pretrained(checkpoint) for _ in range(2))
    for history in (reason, encode_at_once_again, encode_with_another_picture, interrupt_reasoning):
        history(used, task)
        assert torch.equal(scores(used, task), scores(fresh, task)), history.__name__


def scores(model: GoTModel, task: str) -> Tensor:
    seen: list[Tensor] = []
    hook = model.parts.reasoner().mllm.lm_head.register_forward_hook(
        lambda *passed: seen.append(passed[-1].clone())
    )
    model.reason(PROMPT, SOURCES[task], settings=GenerationSettings(max_new_tokens=6))
    hook.remove()
    return torch.cat(seen)
