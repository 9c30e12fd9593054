"""The chain in a saved picture: written into the PNG, even when nodes are cached, and read back.

ComfyUI's save nodes write the contents of the hidden EXTRA_PNGINFO into the file. A single dictionary
is shared by a whole run, in which several plans may be drawn: one after another, in parallel, or, if an
input is a list, all by the same nodes. So each save node sees the plan of its own pictures in it, or none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.saved_plans import CHAIN_KEY

ENCODERS = ("GoTSSGMEncode", "GoTConverse", "GoTLookAgain")  # the nodes whose chains are drawn
MAX_REMEMBERED = 100

_remembered: dict[str, list[Any]] = {}
"""The chains that encoders received, by everything these depend on: for runs in which they are cached."""


class PictureInformation(dict[str, Any]):
    """EXTRA_PNGINFO of one run: what the client sent and, for a save node, the plan of its pictures.

    That is the plan of the one encoder upstream that no other builds on, as a second edit builds on the
    first. With several encoders, or one that received several plans, it is unknown which one a picture shows.

    Args:
        reader: returns the id of the running node, which is the one that reads.
    """

    def __init__(
        self, given: dict[str, Any], prompt: dict[str, Any], reader: Callable[[], str | None]
    ) -> None:
        super().__init__({key: value for key, value in given.items() if key != CHAIN_KEY})
        self._prompt = prompt
        self._reader = reader
        self._recipes = {name: _recipe(prompt, name) for name in prompt if _kind(prompt, name) in ENCODERS}
        self._encoded: dict[str, list[Any]] = {}
        self._all_known = True

    def add(self, encoder: str, chain: ReasoningChain) -> None:
        """Record an encoder's chain, for this run and for those in which it is cached."""
        if encoder not in self._recipes:  # a node added to the graph while the prompt ran
            self._all_known = False
            return
        data, recipe = chain.to_json(), self._recipes[encoder]
        self._encoded[encoder] = _with(self._encoded.get(encoder, []), data)
        _remembered[recipe] = _with(_remembered.pop(recipe, []), data)
        if len(_remembered) > MAX_REMEMBERED:
            del _remembered[next(iter(_remembered))]

    def as_read(self) -> dict[str, Any]:
        """The contents for the running node."""
        plain = {key: dict.__getitem__(self, key) for key in dict.__iter__(self)}
        chain = self._own_chain()
        return plain if chain is None else {**plain, CHAIN_KEY: chain}

    def _own_chain(self) -> Any:
        reader = self._reader()
        if reader is None or not self._all_known:
            return None
        encoders = _upstream(self._prompt, reader) & self._recipes.keys()
        built_on = set().union(*(_upstream(self._prompt, name) - {name} for name in encoders))
        last = encoders - built_on
        chains = self._chains(last.pop()) if len(last) == 1 else []
        return chains[0] if len(chains) == 1 else None

    def _chains(self, encoder: str) -> list[Any]:
        """An encoder's chains: from this run, or else from others, perhaps since this one was queued."""
        return self._encoded.get(encoder) or _remembered.get(self._recipes[encoder], [])

    # Every way in which a node may read a dictionary

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_read())

    def __len__(self) -> int:
        return len(self.as_read())

    def __contains__(self, key: object) -> bool:
        return key in self.as_read()

    def __getitem__(self, key: str) -> Any:
        return self.as_read()[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.as_read().get(key, default)

    def keys(self) -> Any:
        return self.as_read().keys()

    def values(self) -> Any:
        return self.as_read().values()

    def items(self) -> Any:
        return self.as_read().items()

    def copy(self) -> dict[str, Any]:
        return self.as_read()

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        """A copy, for ComfyUI's history and for other processes, is a plain dictionary."""
        return dict, (self.as_read(),)


def prepare(request: dict[str, Any], reader: Callable[[], str | None]) -> dict[str, Any]:
    """Called for every queued prompt: makes the pictures of its run carry their plans."""
    prompt = request.get("prompt")
    data = request.setdefault("extra_data", {})
    given = data.get("extra_pnginfo") or {}
    if isinstance(prompt, dict) and isinstance(given, dict):
        data["extra_pnginfo"] = PictureInformation(given, prompt, reader)
    return request


def store_chain(chain: ReasoningChain, extra_pnginfo: dict[str, Any] | None, encoder: str | None) -> None:
    """Make the pictures that are drawn after this encoder carry the chain."""
    if isinstance(extra_pnginfo, PictureInformation) and encoder is not None:
        extra_pnginfo.add(encoder, chain)


def _with(chains: list[Any], chain: Any) -> list[Any]:
    """Append a chain: it only matters whether there is one or more than one."""
    return chains if chain in chains else [*chains, chain][:2]


def _recipe(prompt: dict[str, Any], node_id: str) -> str:
    """Everything in a prompt that a node's result depends on: the node and all nodes upstream, as text."""
    nodes = {
        name: [_kind(prompt, name), {key: _plain(value) for key, value in _inputs(prompt, name).items()}]
        for name in _upstream(prompt, node_id)
    }
    return json.dumps(nodes, sort_keys=True)


def _upstream(prompt: dict[str, Any], node_id: str) -> set[str]:
    """The node itself and all nodes that it depends on, directly or indirectly."""
    found: set[str] = set()
    pending = [node_id]
    while pending:
        name = pending.pop()
        if name in prompt and name not in found:
            found.add(name)
            pending += [value[0] for value in _inputs(prompt, name).values() if _is_link(value)]
    return found


# A prompt is read before ComfyUI has validated it.


def _kind(prompt: dict[str, Any], name: str) -> Any:
    return prompt[name].get("class_type") if isinstance(prompt[name], dict) else None


def _inputs(prompt: dict[str, Any], name: str) -> dict[str, Any]:
    inputs = prompt[name].get("inputs") if isinstance(prompt[name], dict) else None
    return inputs if isinstance(inputs, dict) else {}


def _is_link(value: Any) -> bool:
    """Whether an input is linked, as [node id, output index]; widgets may hold lists as well."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _plain(value: Any) -> Any:
    """Normalized, since ComfyUI turns a 4 from the page into 4.0 before it runs a node."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
