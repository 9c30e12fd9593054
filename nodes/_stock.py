"""Language models in folders as published: moved by ComfyUI, and shared by the nodes that plan with them."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakValueDictionary

from ..got_models.mllm.stock import StockModel
from ..got_models.weights.stock import load_stock
from ._comfy.memory import choose_dtype
from ._inputs import time_and_size
from ._model import ManagedPart

WORKING_MEMORY = 2**30
"""Bytes for the keys and values of an instruction with a picture, and of the reply."""

_held: WeakValueDictionary[tuple[Path, tuple[int, int]], ManagedStock] = WeakValueDictionary()


class ManagedStock:
    """A folder's model in memory, as long as a node holds this."""

    def __init__(self, folder: Path) -> None:
        self._part = ManagedPart(load_stock(folder, choose_dtype("auto")), "reasoner")

    def ready(self) -> StockModel:
        """The model on its device."""
        self._part.load_to_device(WORKING_MEMORY)
        model: StockModel = self._part.part
        return model


def held(folder: Path) -> ManagedStock:
    """The model of a folder, loaded if no node holds it yet.

    Raises:
        GoTError: it cannot be loaded.
    """
    key = (folder, time_and_size(folder / "config.json"))
    model = _held.get(key)
    if model is None:
        model = _held[key] = ManagedStock(folder)
    return model
