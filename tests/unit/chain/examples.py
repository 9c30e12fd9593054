"""Chains for tests, shared with the JavaScript twin, and hostile texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from got_models.chain.chain import Box, ReasoningChain

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "chains.json").read_text(encoding="utf-8"))
TEXT = (
    "A red circle <|box_start|>(100,200),(400,500)<|box_end|> (red) is left of"
    " a blue square <|box_start|>(600,200),(900,500)<|box_end|> (green)."
)

HOSTILE = [
    *(
        "(",
        "((",
        "( ",
        "(1",
        "(1,",
        "(1,2),",
        "(5,",
        "5),(5,5)",
        "(5,5),(5,5)",
        "((5,5),(5,5))",
        "9",
        "-",
        ".",
    ),
    *(
        "<|",
        "<|im_",
        "<|im_end|>",
        "<|obj_start|>",
        "<|object_ref_start|>",
        "<|obj_start|>a",
        "<|box_start|>",
    ),
    *("<|box_start|>(5,5),", "<|box_start|>(5,5),(5,5)<|box_end|>", "<|box_end|>", "\ud800", "\x00", "\r\n"),
    *(" ", "\u00a0", "\n", "\u200b", "\u200d", "\u0300", "\u0300\u0316", "e\u0301", "（", "，", "１"),  # noqa: RUF001
    *("[", "[1,2,", "[1, 2, 3, 4] ", "[[1.1,", "1 1 1 1 ", "10% ", "x: 1", "bbox", "<loc_1", "a ", "a", ". "),
    *("<|obj_start|>a<|obj_end|> (5,5),(5,5)", "<<|obj_start|>|im_end|x<|obj_end|> (5,5),(5,5)"),
]
NESTED: Any = []
for _ in range(100_000):
    NESTED = [NESTED]


def parse(text: str) -> ReasoningChain:
    return ReasoningChain.parse(text, "generate", "a prompt")


def read(text: str) -> ReasoningChain:
    return ReasoningChain.read(text, "generate", "a prompt")


def view(chain: ReasoningChain) -> list[tuple[str, Box, str]]:
    return [(region.phrase, region.box, region.color) for region in chain.regions]
