"""The editor's own tests, by node, and the same chain in both languages for more texts than the vectors."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from got_models.chain.chain import Box, ChainError, ReasoningChain
from got_models.chain.prompt_update import updated_prompt

HERE = Path(__file__).parent
TYPESCRIPT = HERE.parents[1] / ".venv" / "node" / "node_modules" / ".bin"  # where the Makefile puts it
CASES = 6000
# fmt: off
FRAGMENTS = [
    "<|box_start|>", "<|box_end|>", "<|obj_start|>", "<|obj_end|>", "<|im_end|>", "<|", "|>", "<", "end",
    "(", ")", "((", "))", ",", ", ", ".", ":", "\n", "\t", " ", "  ", "(1,2)", "(5,9)", "(30,40)",
    "(1000,-3)", "(1,2),(3,4)", "((1, 2), (3, 4))", "(9,9),(1,1)", "(5,5),(5,5)", "(0.5,1),(7,8)",
    "(1.5,2.5),(7,8)", "(-0,1),(7,8)",
    "<|box_start|>(1,2),(3,4)<|box_end|>", "<|box_start|>((10, 20), (30, 40))<|box_end|>",
    "<|box_start|>(7,7),(7,7)<|box_end|> (red)", "<|obj_start|>a man<|obj_end|> (1,2),(3,4)",
    "<|obj_start|>a man in a hat<|obj_end|> <|box_start|>(1,2),(3,4)<|box_end|>",
    " (red)", " (Red)", "(green)", " (aqua)", " (cyan)", " (darkGrey)", " (bleu)", " (dark blue)", "(black)",
    "a ", "The ", "cat", " dog ", "é", "🎈", "\u00a0", "\r", "\x1c", "\x85", "\ufeff", "\ud800", "7", "-",
    "a cat (1,2),(3,4)", " and ", " it's ", "one ",
    "\uff081\uff0c2\uff09\uff0c\uff083\uff0c4\uff09", "\uff08", "\uff0c", "\u3001", "\uff11", "\u300d",
    "\u3002", "\u7ea2\u8272\u5706", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|object_ref_start|>a man, asleep<|object_ref_end|>", "(0.1,0.2),(0.9,0.8)", "(0,0),(1000,1000)",
    "\u200b", "\u200d", "\u200e", "\u202a", "\r\n", "\u2028", "\x00", "\u3000",
    "e\u0301", "\u0301", "\u0316" * 31, "\u0338", "\u212b", "\u0958", "\u1100\u1161", "|", "im_end", "\u2026",
    "[100,200,400,500]", "[", "]", "(500,500)", "10%", "<loc_12>", "bbox", "x1: 1, y1: 2", "2019, ",
]
WORDS = [
    "a red circle (1,2),(3,4)", "a small red circle (1,2),(3,4)", "two cats (1,2),(3,4)",
    "a dog (1,2),(3,4)", "a red circle", "two red circles", "three dogs", "the dog", "a dog", "A cat",
    "An orange", "cats", "circle", "3 dogs", " and ", ", ", ", and ", " on ", " to the left of ",
    " above it ", ". ", "\n", " there is ", " is ", " There are ", " ", " on a white background",
    "On a dark gray background ", " in a room", "white ", "black ", "sunny ", "room", "!", "", "和",
    "、", "。", "红色圆", "é", "🎈 ", " und ", "ein Stern (1,2),(3,4)", "ein Stern",
    "一个红色圆 (1,2),(3,4)", "一个红色圆",
]
# fmt: on


@pytest.fixture(scope="session")
def node() -> str:
    path = shutil.which("node")
    if path is None:
        warnings.warn("skipped: no node, which the tests of the editor need", stacklevel=2)
        pytest.skip("no node")
    return path


def test_editor_modules(node: str) -> None:
    tests = sorted(map(str, HERE.glob("*.test.mjs")))
    result = subprocess.run([node, "--test", *tests], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_types_hold() -> None:
    tsc = shutil.which("tsc", path=str(TYPESCRIPT))
    if tsc is None:
        warnings.warn("skipped: no tsc, which checks the editor's types: make test", stacklevel=2)
        pytest.skip("no tsc")
    result = subprocess.run([tsc, "--project", str(HERE)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_both_languages_read_and_edit_every_text_alike(node: str) -> None:
    cases = [random_case(random.Random(seed)) for seed in range(CASES)]
    result = subprocess.run(
        [node, str(HERE / "chain_in_javascript.mjs")],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    for case, answer in zip(cases, json.loads(result.stdout), strict=True):
        assert answer == in_python(case), case


def random_case(chance: random.Random) -> dict[str, Any]:
    plan = "".join(chance.choices(WORDS, k=chance.randint(1, 10)))
    words = plan.split(" ")
    words[chance.randrange(len(words))] = chance.choice(WORDS).strip()
    return {
        "prompt": "".join(chance.choices(WORDS, k=chance.randint(0, 14))).replace(" (1,2),(3,4)", ""),
        "task": chance.choice(["generate", "edit"]),
        "other": " ".join(words),
        "text": plan
        if chance.random() < 0.5
        else "".join(chance.choices(FRAGMENTS, k=chance.randint(0, 16))),
        "phrase": "".join(chance.choices(FRAGMENTS, k=chance.randint(0, 4))),
        "box": [*(chance.randint(0, 400) for _ in "xy"), *(chance.randint(401, 999) for _ in "xy")],
        "index": chance.randint(0, 3),
    }


def in_python(case: dict[str, Any]) -> dict[str, Any]:
    """What each way to read or edit gives, and where strict reading fails, in JavaScript's units of text."""
    text, phrase, index = case["text"], case["phrase"], case["index"]
    box = Box(*case["box"])
    update = updated_prompt(
        case["prompt"], *(ReasoningChain.read(plan, case["task"], "") for plan in (text, case["other"]))
    )
    chain = ReasoningChain.read(text, "generate", "")
    problem = None
    try:
        ReasoningChain.parse(text, "generate", "")
    except ChainError as error:
        problem = len(text[: error.position].encode("utf-16-le", "surrogatepass")) // 2
    return {
        "problem": problem,
        "read": chain.to_json(),
        "warned": any("looks like coordinates" in warning for warning in chain.warnings),
        "move": result(lambda: chain.move_box(index, box)),
        "rename": result(lambda: chain.rename(index, phrase)),
        "remove": result(lambda: chain.remove(index)),
        "add": result(lambda: chain.add(phrase, box)),
        "prompt": {"prompt": update.prompt, "missed": list(update.missed)},
    }


def result(edit: Callable[[], ReasoningChain]) -> dict[str, Any] | None:
    try:
        return edit().to_json()
    except ChainError:
        return None
