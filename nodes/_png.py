"""The chain in a saved picture: how it gets into the PNG, also when nodes are cached, and is read back.

ComfyUI's save nodes write whatever stands in the hidden EXTRA_PNGINFO into the file. That dictionary is new
for every run, but a node whose inputs did not change is not run again and cannot fill it. So the chains of
earlier runs are remembered, and put in when a prompt with the same node and the same inputs is queued.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..got_models.chain import ReasoningChain
from ..got_models.errors import GoTError

CHAIN_KEY = "got_chain"
ENCODER = "GoTSSGMEncode"  # the node whose chains are remembered
MOST_REMEMBERED = 100

_remembered: dict[str, dict[str, Any]] = {}


def store_chain(chain: ReasoningChain, extra_pnginfo: dict[str, Any] | None) -> None:
    """Let the pictures saved in this run carry the chain."""
    if extra_pnginfo is not None:
        extra_pnginfo[CHAIN_KEY] = chain.to_json()


def remember_chain(chain: ReasoningChain, prompt: dict[str, Any] | None, node_id: str | None) -> None:
    """Keep what a node made, for later runs in which it comes from the cache."""
    if prompt is not None and node_id in prompt:
        _remembered[_recipe(prompt, node_id)] = chain.to_json()
        if len(_remembered) > MOST_REMEMBERED:
            del _remembered[next(iter(_remembered))]


def restore_chains(request: dict[str, Any]) -> dict[str, Any]:
    """Called by ComfyUI with every prompt that is queued: puts in the chain that its nodes made before.

    That is the one which no other chain builds on, as a second edit builds on the first. Where there are
    several, nothing tells which of them a picture from the cache shows: it carries none, not a wrong one.
    """
    prompt = request.get("prompt") or {}
    data = request.setdefault("extra_data", {})
    information = data["extra_pnginfo"] = data.get("extra_pnginfo") or {}
    encoders = [name for name, node in prompt.items() if node.get("class_type") == ENCODER]
    built_on = set().union(*(_upstream(prompt, name) - {name} for name in encoders))
    last = [name for name in encoders if name not in built_on]
    if len(last) == 1 and (chain := _remembered.get(_recipe(prompt, last[0]))):
        information[CHAIN_KEY] = chain
    return request


def read_chain(path: Path) -> ReasoningChain:
    """The chain in a PNG that ComfyUI or this library's command line saved.

    Raises:
        GoTError: the file is no PNG, or holds no chain that can be read.
    """
    from ..got_models.pictures import check_is_file
    from ..got_models.png import find_text

    check_is_file(path)
    try:
        text = find_text(path, CHAIN_KEY)
    except (OSError, ValueError) as error:
        raise GoTError(f"Expected a PNG picture, cannot open {path.name}: {error}.") from error
    if text is None:
        raise GoTError(
            f"{path.name} holds no reasoning chain. PNGs that a workflow with SSGM Encode saved do, unless "
            "another program has rewritten them."
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GoTError(f"The reasoning chain in {path.name} is not readable: {error}") from error
    return ReasoningChain.from_json(data)


def _recipe(prompt: dict[str, Any], node_id: str) -> str:
    """All that a node's result depends on: the node and everything upstream, as text."""
    nodes = {
        name: [
            prompt[name]["class_type"],
            {key: _plain(value) for key, value in prompt[name]["inputs"].items()},
        ]
        for name in _upstream(prompt, node_id)
    }
    return json.dumps(nodes, sort_keys=True)


def _upstream(prompt: dict[str, Any], node_id: str) -> set[str]:
    """The node itself and all nodes that it takes something from, directly or not."""
    found: set[str] = set()
    pending = [node_id]
    while pending:
        name = pending.pop()
        if name in prompt and name not in found:
            found.add(name)
            pending += [value[0] for value in prompt[name]["inputs"].values() if _is_link(value)]
    return found


def _is_link(value: Any) -> bool:
    """Whether an input comes from another node, as [its id, which output]; widgets may hold lists as well."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _plain(value: Any) -> Any:
    """ComfyUI turns a 4 from the page into 4.0 before it runs a node; both must read the same."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
