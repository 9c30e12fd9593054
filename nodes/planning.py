"""GoT Plan: a plan from any language model, ComfyUI's own or one whose answer arrives as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import TASKS, ReasoningChain
from ..got_models.chain.notations import SizeNeededError
from ..got_models.chain.planner import Size, draft
from ..got_models.chain.region import Region
from ..got_models.chain.switched_off import switched_on
from ..got_models.errors import GoTError
from ..got_models.mllm.prompts import check_prompt
from ..got_models.notes import Note
from ._comfy.feedback import progress_bar, show_text, stop_if_interrupted
from ._comfy.folders import language_model_folder, language_model_names
from ._comfy.language_model import CAN_WRITE, write
from ._inputs import checked, rejection, seed_input
from ._plans import plans_ui
from .chain import CHAIN_TOOLTIP, TEXT_TOOLTIP

if TYPE_CHECKING:
    from torch import Tensor

Ask = Callable[[str, Callable[[str], None]], str]
"""A language model: from a request, and what receives all of the reply so far, to the reply."""
NONE = "none"
BETWEEN_DRAFTS = 0.15
"""Seconds, so that parsing what has been written costs little beside writing it."""
NOTATIONS_TO_CHOOSE = {"x_first", "y_first", "thousandths", "pixels"}
"""Values of the notes that tell people to choose a notation."""


def with_the_node_to_choose_in(chain: ReasoningChain) -> ReasoningChain:
    """The chain; where its notes tell people to choose a notation, with a note on which node can."""
    if not any(
        isinstance(note, Note) and note.values.keys() & NOTATIONS_TO_CHOOSE for note in chain.warnings
    ):
        return chain
    return replace(chain, warnings=(*chain.warnings, Note("no_choice_of_notation")))


@checked
class GoTPlan:
    DESCRIPTION = (
        "Plans with any language model: one that ComfyUI loads as a CLIP and that can write, such as "
        "Qwen3-VL or Gemma 3, a folder of Qwen2.5-VL or Qwen3-VL, or any other by its answer as text. The "
        "plan is one as from GoT Reason: edit it, draw it with GoT, or with any checkpoint by GoT Regional "
        "Conditioning."
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
                "language_model": (
                    [NONE, *language_model_names()],
                    {
                        "tooltip": "In place of a CLIP: a whole folder of Qwen2.5-VL or Qwen3-VL, as "
                        "published, in models/LLM. 'none': the one connected to 'clip'."
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, language_model: str | None = NONE) -> bool | str:
        """Declares a single input: ComfyUI repeats the error for each declared input."""
        return language_model == NONE or rejection(language_model_folder, language_model)

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
        language_model: str = NONE,
        unique_id: str | None = None,
    ) -> dict[str, Any]:
        from ..got_models.chain.planner import instruction, make_plan

        check_prompt(prompt)
        if task == "auto":
            task = "generate" if image is None else "edit"
        held, left_out = switched_on(locked.regions if locked else ())
        size = None
        stop_if_interrupted()
        if answer is not None:
            chain = self._read(answer, prompt, task, held)
        else:
            ask, size = self._asker(clip, language_model, image, seed, temperature, max_new_tokens)
            shown = 0.0

            def show(reply: str) -> None:
                nonlocal shown
                if monotonic() - shown >= BETWEEN_DRAFTS:
                    show_text(draft(reply, task, size), unique_id)
                    shown = monotonic()

            chain = make_plan(lambda text: ask(text, show), prompt, task, held, size)
        chain = with_the_node_to_choose_in(chain)
        return {
            "ui": plans_ui((chain, left_out)),
            "result": (chain, chain.text, instruction(prompt, task, held, size)),
        }

    def _read(self, answer: str, prompt: str, task: str, held: Sequence[Region]) -> ReasoningChain:
        """The plan in an answer that has come as text.

        Raises:
            GoTError: it holds none.
        """
        from ..got_models.chain.planner import read_answer

        try:
            return read_answer(answer, prompt, task, held)
        except SizeNeededError as error:
            raise GoTError(
                f"{error} GoT Plan has no inputs for these: give the answer to GoT Chain from Text."
            ) from error

    def _asker(
        self,
        clip: Any,
        language_model: str,
        image: Tensor | None,
        seed: int,
        temperature: float,
        max_new_tokens: int,
    ) -> tuple[Ask, Size | None]:
        """The language model as a function of a text, and the size in whose pixels it counts boxes.

        Raises:
            GoTError: there is none, or there are two.
        """
        if clip is not None and language_model != NONE:
            raise GoTError(
                "There are two language models: disconnect 'clip', or set 'language_model' to 'none'."
            )
        if clip is not None:
            return (
                lambda text, on_text: write(
                    clip,
                    text,
                    image,
                    seed=seed,
                    temperature=temperature,
                    max_new_tokens=max_new_tokens,
                    on_text=on_text,
                )
            ), None
        if language_model == NONE:
            raise GoTError(
                f"There is no language model: connect a CLIP that can write ({CAN_WRITE}), choose a folder "
                "in 'language_model', or connect the answer of any other to 'answer'."
            )
        return self._stock_asker(language_model, image, seed, temperature, max_new_tokens)

    def _stock_asker(
        self, name: str, image: Tensor | None, seed: int, temperature: float, max_new_tokens: int
    ) -> tuple[Ask, Size | None]:
        from ..got_models.mllm.settings import GenerationSettings
        from ._images import image_to_pictures
        from ._stock import held

        self._stock = held(language_model_folder(name))  # held by the node, which ComfyUI's cache holds
        model = self._stock.ready()
        picture = None if image is None else image_to_pictures(image)[0]
        settings = GenerationSettings(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)

        def ask(text: str, on_text: Callable[[str], None]) -> str:
            update, tokens = progress_bar(max_new_tokens), count()
            pieces: list[str] = []

            def on_piece(piece: str) -> None:
                pieces.append(piece)
                on_text("".join(pieces))

            def after_token() -> bool:
                update(next(tokens), None)
                return stop_if_interrupted()

            return model.write(text, picture, settings, on_text=on_piece, should_stop=after_token)

        return ask, model.size_counted(picture)
