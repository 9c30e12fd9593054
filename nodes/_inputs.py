"""Validation of a node's inputs: what was expected, what was received, and where to get the right thing.

ComfyUI validates widget values. Linked values it passes on unchecked: numbers out of range, or anything from
an output of any type, and likewise explicit nulls.
"""

from __future__ import annotations

import functools
import inspect
import numbers
import re
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..got_models.chain.chain import ReasoningChain
from ..got_models.errors import GoTError, short_repr

Node = TypeVar("Node", bound=type)

ANY_BOXES = "BOUNDING_BOX,ARRAY,DICT,STRING"
"""The wire types that hold boxes, as ComfyUI writes several of them."""

KINDS = {
    "GOT_MODEL": "a checkpoint, from GoT Model Loader",
    "GOT_CHAIN": "a plan, from GoT Reason or GoT Chain from Text",
    "GOT_GUIDANCE": "guidance, from SSGM Encode",
    "GOT_DATASET": "a dataset, from GoT Dataset",
    "GOT_ADAPTER": "an adapter, from GoT Train",
    "IMAGE": "a picture, as Load Image gives it",
    "MODEL": "a model, from Load Checkpoint or GoT Native Model Loader",
    "CLIP": "a text encoder, from Load Checkpoint",
    "CONDITIONING": "conditioning, from CLIP Text Encode",
    "HOOKS": "hooks, from Create Hook LoRA",
    ANY_BOXES: "boxes, from a detector, Create Bounding Boxes or a language model",
    "INT": "a whole number",
    "FLOAT": "a number",
    "STRING": "text",
    "NAME": "a name of the list",
    "BOOLEAN": "true or false",
}
"""The values that each kind of input accepts."""

NOT_IN_TEXT = re.compile(r"[\x00\ud800-\udfff]")
"""NUL is invalid in paths, and lone surrogates cannot be encoded by any tokenizer, file or page."""

NUMBERS = {"INT": numbers.Integral, "FLOAT": numbers.Real}

HIDDEN = {"PROMPT": dict, "EXTRA_PNGINFO": dict, "UNIQUE_ID": str}
"""Inputs that ComfyUI adds itself from what the page has sent; invalid ones are treated as absent."""


def seed_input(tooltip: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """A widget for a seed, from 0 to 2**64 - 1; the options are ComfyUI's."""
    return ("INT", {"default": 0, "min": 0, "max": 2**64 - 1, **options, "tooltip": tooltip})


def checked(node: Node) -> Node:
    """A class decorator: the node's function runs only with inputs that match INPUT_TYPES.

    An optional input that is null is treated as not connected. What VALIDATE_INPUTS rejects is rejected here
    too: ComfyUI calls it for widgets only.

    ComfyUI logs an error with its causes, and its worker thread dies if that cannot be encoded, for instance
    when a library quotes a lone surrogate from a file. Such an error is replaced by a printable one without
    causes.

    Raises (when the node runs):
        GoTError: an input is invalid; the message names the input.
    """
    function = getattr(node, node.FUNCTION)  # type: ignore[attr-defined]
    signature = inspect.signature(function)

    @functools.wraps(function)
    def work(*positional: Any, **named: Any) -> Any:
        given = signature.bind(*positional, **named)
        given.arguments = _checked_inputs(node, given.arguments)
        try:
            return function(*given.args, **given.kwargs)
        except Exception as error:
            if not _can_be_logged(error):
                raise GoTError(error) from None
            raise

    setattr(node, node.FUNCTION, work)  # type: ignore[attr-defined]
    return node


def rejection(check: Callable[[str], object], name: Any) -> bool | str:
    """For VALIDATE_INPUTS: True, or the error that `check` raises for a name.

    None is a linked name that is not known yet.
    """
    if name is None:
        return True
    if not isinstance(name, str):
        return f"expected a name, received {received(name)}."
    try:
        check(name)
    except GoTError as error:
        return str(error)
    return True


def state(describe: Callable[[str], object], name: Any) -> str:
    """For IS_CHANGED: the result of `describe` for the files that a name refers to, as text.

    Empty if unknown: a linked name is not known yet, and a rejected one is rejected again when the node
    runs. Neither is a reason to run again.
    """
    if not isinstance(name, str):
        return ""
    try:
        return str(describe(name))
    except (OSError, ValueError):  # GoTError is a ValueError
        return ""


class ExternalChanges:
    """For IS_CHANGED of a node that writes the files it watches: its own changes do not make it run again.

    Args:
        look: the state of the files that a name refers to.
    """

    def __init__(self, look: Callable[[str], object]) -> None:
        self._look = look
        self._seen: dict[str, object] = {}
        self._changes: Counter[str] = Counter()

    def count(self, name: str) -> int:
        """How often the files of this name have differed from their last known state."""
        now = self._look(name)
        self._changes[name] += now != self._seen.setdefault(name, now)
        self._seen[name] = now
        return self._changes[name]

    def done(self, name: str) -> None:
        """Record that the node has written them."""
        self._seen[name] = self._look(name)


def time_and_size(file: Path) -> tuple[int, int]:
    """A file's fingerprint for `state`, since it may be too large to read."""
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size


def received(value: Any) -> str:
    """A short description of a value from another node."""
    if value is None:
        return "nothing"
    if isinstance(value, (bool, numbers.Number, str, list, tuple)):
        return short_repr(value)
    if isinstance(value, dict):
        return "latents (LATENT)" if "samples" in value else short_repr(value)
    for kind, kind_class in _classes().items():
        if isinstance(value, kind_class):
            if kind == "IMAGE" and value.ndim < 4:
                return "a mask (MASK)"
            return f"{KINDS[kind].split(',')[0]} ({kind})"
    return f"something of the type {type(value).__name__}"


def _checked_inputs(node: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments for the node's function.

    Raises:
        GoTError: an input is invalid.
    """
    types = node.INPUT_TYPES()
    hidden, optional = types.get("hidden", {}), types.get("optional", {})
    declared = {**types["required"], **optional}
    validate = getattr(node, "VALIDATE_INPUTS", lambda: True)
    asked = inspect.signature(validate).parameters.keys() & given.keys()
    accepted: dict[str, Any] = {}
    for name, value in given.items():
        if name in hidden:
            odd = not isinstance(value, HIDDEN[hidden[name]])
            odd = odd or (isinstance(value, str) and NOT_IN_TEXT.search(value) is not None)
            accepted[name] = None if odd else value
        elif name not in declared:  # self
            accepted[name] = value
        elif value is not None or name not in optional:  # otherwise the function's own default
            kind, options = declared[name]
            if isinstance(kind, list) and name in asked:  # VALIDATE_INPUTS knows the current choices better
                kind = "NAME"
            accepted[name] = _checked_value(name, value, kind, options)
    complaint = validate(**{name: accepted.get(name) for name in asked})
    if complaint is not True:
        raise GoTError(complaint)
    return accepted


def _checked_value(name: str, value: Any, kind: Any, options: dict[str, Any]) -> Any:
    """The value itself; numbers of other libraries, such as numpy's, as Python's."""
    if not _fits(value, kind, options):
        raise GoTError(f"'{name}' takes {_expected(kind, options)}; it received {received(value)}.")
    if kind == "STRING" and (wrong := NOT_IN_TEXT.search(value)):
        raise GoTError(
            f"'{name}' holds {wrong[0]} at character {wrong.start()}, which cannot be written. Type it again."
        )
    if kind == "INT":
        return int(value)
    return float(value) if kind == "FLOAT" else value


def _fits(value: Any, kind: Any, options: dict[str, Any]) -> bool:
    if isinstance(kind, list):
        return isinstance(value, str) and value in kind
    if kind in NUMBERS:  # True is not a number, and NaN is in no range
        number = isinstance(value, NUMBERS[kind]) and not isinstance(value, bool)
        return number and options["min"] <= value <= options["max"]
    if kind == "BOOLEAN":
        return isinstance(value, bool)
    if kind in ("STRING", "NAME"):
        return isinstance(value, str)
    return value is not None and isinstance(value, _classes().get(kind, object))


def _expected(kind: Any, options: dict[str, Any]) -> str:
    if isinstance(kind, list):
        return f"one of {', '.join(kind)}"
    if kind in NUMBERS:
        return f"{KINDS[kind]} from {options['min']} to {options['max']}"
    return KINDS[kind]


def _can_be_logged(error: Exception) -> bool:
    try:
        "".join(traceback.format_exception(error)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _classes() -> dict[str, Any]:
    """The class of each kind of linked value; MODEL, CLIP and HOOKS are checked where they are used."""
    import torch

    from ..got_models.dataset.rows import Dataset
    from ._model import ManagedModel
    from .guidance import EncodedPlan

    return {
        "GOT_MODEL": ManagedModel,
        "GOT_CHAIN": ReasoningChain,
        "GOT_GUIDANCE": EncodedPlan,
        "GOT_DATASET": Dataset,
        "GOT_ADAPTER": Path,
        "IMAGE": torch.Tensor,
        "CONDITIONING": list,
        ANY_BOXES: (str, list, tuple, dict),
    }
