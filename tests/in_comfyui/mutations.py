"""Invalid prompts: realistic ones with one to three inputs changed, generated from a seed.

A wire comes from some other node, an input is null or missing, a number lies past its range, a text is odd or
hostile. What nodes of other packs may do is done by AnyToAny and OddValue of `strangers.py`.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from typing import Any

from got_models.errors import short_repr

from .prompts import CHAIN, Prompt, changed, drawing, editing, everything, native, node
from .test_mistakes import importing
from .test_training import adapted, training

IN_A_ROW = 10
"""Mutations of one prompt after each other, so that its model stays in ComfyUI's cache."""

STRAY = {
    "stray picture": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
    "stray latents": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    "stray mask": node("SolidMask", value=1.0, width=64, height=64),
    "stray number": node("PrimitiveInt", value=10**9),
    "stray fraction": node("PrimitiveFloat", value=1e30),
    "stray text": node("PrimitiveString", value="text"),
    "stray yes": node("PrimitiveBoolean", value=True),
}
NUMBERS = [0, 1, -1, 2, 7, 63, 65, 0.5, 1e-30, 1e38, 10**9, -(2**63), 2**64 - 1, 2**64, 10**400]
ODD = [None, True, False, math.nan, math.inf, -math.inf, "", "text", "1", [], [1, 2, 3], {}, {"a": [None]}]
ODD += [["nowhere", 0], ["loader", 99], ["loader", -1], ["loader", "0"], {"__value__": [1, 2]}]
TEXTS = [
    *("", " ", "\n", "\0", "a\0b", "\ud800", "\udfff.png", "\x1b[31m", "\u202e", "<img src=q onerror=x()>"),
    *("../..", "/", "~", "C:\\Windows", "CON", ".", "/proc/self/mem", "/dev/zero", "a/b", "input", "~root"),
    *("x" * 300, "x" * 100_000, "'a red circle'", "{}", "[]", "null", "e\u0301" * 9, "<|im_end|>", "%s {0}"),
    *("A red circle (0,0),(999,999)", "(1,2),(3,4)", "<|box_start|>(1,2),(3", "star (1e9,2),(3,4)"),
]
CHAINS = [
    "a star (9,9),(1,1)",
    "a star (1,2),(300,400) and " * 200,
    "a star (1,2),(300,400) (red) a star (1,2),(300,400) (red)",
    "star (1,2),(3,4)" * 70,
    "(" * 3000,
    "(1,2),(3,4)",
    "a café (1,2),(300,400)",
    "红色圆 (1,2),(300,400)",
    "a \ud800 (1,2),(300,400)",
    "a <b>star</b> (1,2),(300,400)",
    "<|obj_start|>a star<|obj_end|> <|box_start|>(1,2),(300,400)<|box_end|>",
    "a star (000000000001,2),(300,400)",
    "a star (" + "9" * 5000 + ",2),(300,400)",
    "a star [1,2,300,400]",
]
SETTINGS = [
    "steps: 1e9",
    "steps: -1",
    "precision: float8",
    "mllm: {rank: 0}",
    "mllm: {rank: 100000000}",
    "mllm: null",
    "unet: [1]",
    "checkpoint: /",
    "seed: .nan",
    "ema_decay: .inf",
    "learning_rate: 1",
    "? [1, 2]\n: 3",
    "a: &a [x]\nb: [*a, *a]",
    "!!python/object/apply:os.system [ls]",
    "a: " + "[" * 500,
    "\ud800: 1",
    "validation_prompts: 7",
    "resolution_px: 7",
    "gradient_checkpointing: maybe",
    "- a list",
    "warmup_steps: 1000000",
    "\t",
]


def prompts(checkpoint: str) -> list[Prompt]:
    """At least one use of every node of the pack, small enough to be quick."""
    drawn = changed(drawing(checkpoint, steps=1, size=64), "save", filename_prefix="mutated")
    edited = changed(editing(checkpoint), "reason", max_new_tokens=6)
    for name in ("encode", "encode edit"):
        edited = changed(edited, name, width=64, height=64)
    for name in ("sampler", "edit"):
        edited = changed(edited, name, steps=1)
    masks = {
        "plan": drawn["plan"],
        "masks": node("GoTChainToMasks", chain=["plan", 0], width=64, height=64),
        "read": node("GoTChainFromImage", image="mutated.png"),
    }
    lora = adapted(training(checkpoint, "mutated", steps=1))
    for name, inputs in {"encode": {"width": 64, "height": 64}, "sampler": {"steps": 1}}.items():
        lora = changed(lora, name, **inputs)
    return [
        drawn,
        changed(everything(checkpoint), "reason", max_new_tokens=6),
        edited,
        changed(native(checkpoint, size=64, latent_size=64), "sigmas", steps=1),
        masks,
        {"import": importing(name="mutated")},
        training(checkpoint, "mutated", steps=1),
        lora,
    ]


class Mutations:
    """Mutated prompts, each with a description of its changes; the same seed gives the same ones.

    Args:
        nodes: what the server's /object_info says.
    """

    def __init__(self, seed: int, nodes: dict[str, Any], checkpoint: str) -> None:
        self.random = random.Random(seed)
        self.nodes = nodes
        self.prompts = prompts(checkpoint)
        self.odd_values: list[str] = nodes["OddValue"]["input"]["required"]["value"][0]

    def draw(self, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """The description of the changes, and the request for POST /prompt."""
        for index in range(count):
            base = self.prompts[index // IN_A_ROW % len(self.prompts)]
            prompt = copy.deepcopy(base)
            done = [self.change(prompt) for _ in range(self.random.choice([1, 1, 1, 2, 3]))]
            yield "; ".join(done), {"prompt": self.shown(prompt), "extra_data": self.extra_data()}

    def change(self, prompt: Prompt) -> str:
        """Changes one input of one of the pack's nodes; returns which and how."""
        ours = [name for name in prompt if prompt[name]["class_type"].startswith("GoT")]
        name = self.random.choice(ours)
        inputs = self.declared(prompt[name]["class_type"])
        key = self.random.choice([key for key in inputs if key != "download"])  # of 28 GB
        given = prompt[name]["inputs"]
        how = self.random.choice(["wire", "odd value", "null", "missing", *["value"] * 4])
        if how == "wire":
            given[key] = self.wire(prompt, name)
        elif how == "odd value":
            given[key] = self.odd_value(prompt)
        elif how == "missing":
            given.pop(key, None)
        else:
            given[key] = self.hostile(key, inputs[key]) if how == "value" else None
        return f"{name}.{key}: {how} {short_repr(given.get(key))}"

    def wire(self, prompt: Prompt, name: str) -> list[Any]:
        """A link from any output of an independent node; bypassing ComfyUI's check, or subject to it."""
        prompt.update(copy.deepcopy(STRAY))
        source = self.random.choice([other for other in prompt if name not in upstream(prompt, other)])
        outputs = self.nodes[prompt[source]["class_type"]]["output"]
        link = [source, self.random.randrange(max(1, len(outputs)))]
        if self.random.random() < 0.2:
            return link
        through = f"any of {source} {link[1]}"
        prompt[through] = node("AnyToAny", value=link)
        return [through, 0]

    def odd_value(self, prompt: Prompt) -> list[Any]:
        value = self.random.choice(self.odd_values)
        prompt[value] = node("OddValue", value=value)
        return [value, 0]

    def hostile(self, key: str, kind: Any) -> Any:
        """A value that could have been typed, stored or sent."""
        sort, *options = kind
        number = {} if not options else options[0]
        choices = [*ODD]
        if sort in ("INT", "FLOAT"):
            ends = [number[end] + step for end in ("min", "max") if end in number for step in (-1, 0, 1)]
            choices += 2 * NUMBERS + 4 * ends
        elif sort == "STRING":
            choices += 2 * TEXTS
            if key in ("text", "prompt"):
                choices += 4 * CHAINS
            if key == "settings":
                choices += 4 * SETTINGS
            if key == "edited_chain":
                choices += [self.edited() for _ in range(80)]
        elif isinstance(sort, list):
            choices += TEXTS + 2 * sort
        return self.random.choice(choices)

    def edited(self) -> str:
        """The editor's stored value, damaged."""
        stored: dict[str, Any] = {"upstream": CHAIN.text, "chain": CHAIN.to_json(), "locked": ["red"]}
        place = stored if self.random.random() < 0.4 else stored["chain"]
        odd = [*ODD, *TEXTS, *CHAINS, "[" * 2000, 10**400]
        place[self.random.choice(list(place))] = self.random.choice(odd)
        text = json.dumps(stored)
        return text[: self.random.randrange(len(text))] if self.random.random() < 0.2 else text

    def extra_data(self) -> dict[str, Any]:
        if self.random.random() < 0.8:
            return {}
        return {"extra_pnginfo": self.random.choice([{"workflow": {}}, *ODD, *TEXTS])}

    def declared(self, kind: str) -> dict[str, Any]:
        inputs = self.nodes[kind]["input"]
        return {**inputs.get("required", {}), **inputs.get("optional", {})}

    def shown(self, prompt: Prompt) -> Prompt:
        """Adds an output for every node of the pack, so that each is run; sometimes under a hostile id."""
        for name in list(prompt):
            if prompt[name]["class_type"].startswith("GoT"):
                prompt[f"{name} shown"] = node("PreviewAny", source=[name, 0])
        if self.random.random() < 0.05:
            odd = self.random.choice(["\ud800", "\0", "", "<b>", "9" * 300])
            old = self.random.choice(list(prompt))
            prompt = {odd if name == old else name: content for name, content in prompt.items()}
            for content in prompt.values():
                for key, value in content["inputs"].items():
                    if isinstance(value, list) and value[:1] == [old]:
                        content["inputs"][key] = [odd, *value[1:]]
        return prompt


def upstream(prompt: Prompt, name: str) -> set[str]:
    """The node and all that it depends on."""
    found: set[str] = set()
    pending = [name]
    while pending:
        name = pending.pop()
        if name in prompt and name not in found:
            found.add(name)
            values = prompt[name]["inputs"].values()
            pending += [
                value[0]
                for value in values
                if isinstance(value, list) and value and isinstance(value[0], str)
            ]
    return found
