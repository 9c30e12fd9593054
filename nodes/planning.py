"""GoT Plan: a plan from any language model, ComfyUI's own or one whose answer arrives as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import TASKS, ReasoningChain
from ..got_models.errors import GoTError
from ..got_models.mllm.prompts import check_prompt
from ._comfy.feedback import show_text, stop_if_interrupted
from ._comfy.language_model import CAN_WRITE, write
from ._inputs import checked, seed_input
from ._plans import plans_ui
from .chain import CHAIN_TOOLTIP, TEXT_TOOLTIP

if TYPE_CHECKING:
    from torch import Tensor


@checked
class GoTPlan:
    DESCRIPTION = (
        "Plans with any language model: one that ComfyUI loads as a CLIP and that can write, such as "
        "Qwen3-VL or Gemma 3, or any other by its answer as text. The plan is one as from GoT Reason: edit "
        "it, draw it with GoT, or with any checkpoint by GoT Regional Conditioning."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        "plan",
        "layout planner",
        "prompt planner",
        "llm layout",
        "qwen3-vl",
        "gemma",
        "regional",
    )
    RETURN_TYPES = ("GOT_CHAIN", "STRING", "STRING")
    RETURN_NAMES = ("chain", "text", "instruction")
    OUTPUT_TOOLTIPS = (
        CHAIN_TOOLTIP,
        TEXT_TOOLTIP,
        "What a language model is to be asked, for nodes that ask one themselves. Their answer comes back "
        "into 'answer' of another GoT Plan.",
    )
    OUTPUT_NODE = True
    FUNCTION = "plan"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "prompt": (
                    "STRING",
                    {
                        "multiline": True,
                        "default": "a red fox asleep on a mossy rock, a birch tree behind it",
                        "tooltip": "What the picture should show or, with a picture connected, how it should "
                        "change.",
                    },
                ),
                "task": (
                    ["auto", *TASKS],
                    {
                        "advanced": True,
                        "tooltip": "auto: edit if a picture is connected, otherwise generate.",
                    },
                ),
                "seed": seed_input("A different seed gives a different plan.", control_after_generate=False),
                "temperature": (
                    "FLOAT",
                    {
                        "default": 0.7,
                        "min": 0.0,
                        "max": 2.0,
                        "step": 0.05,
                        "advanced": True,
                        "tooltip": "0: always the most likely word. Higher: more varied plans.",
                    },
                ),
                "max_new_tokens": (
                    "INT",
                    {
                        "default": 1024,
                        "min": 16,
                        "max": 8192,
                        "advanced": True,
                        "tooltip": "Maximum length of the answer, in tokens.",
                    },
                ),
            },
            "optional": {
                "clip": (
                    "CLIP",
                    {"tooltip": f"A language model that can write: {CAN_WRITE}. Or connect 'answer'."},
                ),
                "answer": (
                    "STRING",
                    {
                        "forceInput": True,
                        "tooltip": "The answer of any other language model, in any notation of boxes. If "
                        "connected, no model is asked.",
                    },
                ),
                "image": ("IMAGE", {"tooltip": "The picture to edit, for a language model that can look."}),
                "locked": (
                    "GOT_CHAIN",
                    {"tooltip": "Objects that the plan must hold with exactly these words and boxes."},
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def plan(
        self,
        prompt: str,
        task: str,
        seed: int,
        temperature: float,
        max_new_tokens: int,
        clip: Any = None,
        answer: str | None = None,
        image: Tensor | None = None,
        locked: ReasoningChain | None = None,
        unique_id: str | None = None,
    ) -> dict[str, Any]:
        from ..got_models.chain.planner import draft, instruction, make_plan, read_answer

        check_prompt(prompt)
        if task == "auto":
            task = "generate" if image is None else "edit"
        held = locked.regions if locked else ()
        asked = instruction(prompt, task, held)
        if answer is not None:
            chain = read_answer(answer, prompt, task, held)
        elif clip is not None:

            def ask(text: str) -> str:
                stop_if_interrupted()
                return write(
                    clip,
                    text,
                    image,
                    seed=seed,
                    temperature=temperature,
                    max_new_tokens=max_new_tokens,
                    on_text=lambda reply: show_text(draft(reply, task), unique_id),
                )

            chain = make_plan(ask, prompt, task, held)
        else:
            raise GoTError(
                f"There is no language model: connect a CLIP that can write ({CAN_WRITE}), or the answer "
                "of any other to 'answer'."
            )
        return {"ui": plans_ui((chain, ())), "result": (chain, chain.text, asked)}
