"""Annotating on many machines: the same function for every item, mapped over them by Ray Data.

The workers look, and this process alone hands out items and writes rows. A worker that is lost is replaced,
and what it had in hand is annotated again.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import GoTError, short_repr
from .annotator import Annotator, AnnotatorError, check_coordinates
from .items import Item
from .run import Annotated, annotate_item

PER_WAVE = 100_000
"""How many items Ray is given at a time, so that memory stays the same however many there are."""
PER_BLOCK = 16
"""How many items a worker takes at a time at most: those are done again if it is lost."""
LEAST_BLOCKS_PER_WORKER = 4
ADDRESS_VARIABLE = "RAY_ADDRESS"
CLIENT_PORT = 10001
"""Ray's own, where an address ray://HOST names none."""
SECONDS_TO_CONNECT = 10.0


class Cluster:
    """The workers of a Ray cluster: the one that `RAY_ADDRESS` names, or that runs here, or a new one here.

    Args:
        make_annotator: called once by every worker; what it holds is sent to them, and must be no secret.
        workers: how many.
        on_gpu: whether each has a GPU of its own, where the cluster has any.

    Raises:
        GoTError: Ray is not installed.
    """

    def __init__(self, make_annotator: Callable[[], Annotator], workers: int, on_gpu: bool) -> None:
        self._ray = _imported()
        self._make_annotator = make_annotator
        self._workers = workers
        self._on_gpu = on_gpu
        self.tokens = 0

    def annotate(self, todo: Iterable[Item], folder: Path) -> Iterator[Annotated]:
        """As `Engine.annotate`. Every worker looks for the folder and its pictures at the same path.

        Raises:
            GoTError: the cluster cannot be reached.
        """
        _connect(self._ray)
        todo = iter(todo)
        while wave := list(islice(todo, PER_WAVE)):
            try:
                yield from self._annotated(wave, folder.resolve())
            except self._ray.exceptions.RayError as error:
                reason = short_repr(str(error).strip().rpartition("\n")[2], 300)
                raise AnnotatorError(f"Ray has stopped: {reason}. Run it again to go on.") from error

    def _annotated(self, wave: list[Item], folder: Path) -> Iterator[Annotated]:
        data = self._ray.data
        per_block = max(1, min(PER_BLOCK, len(wave) // (LEAST_BLOCKS_PER_WORKER * self._workers)))
        rows = [{"item": json.dumps(asdict(item))} for item in wave]
        results = data.from_items(rows, override_num_blocks=-(-len(rows) // per_block)).map(
            _Worker,
            fn_constructor_args=(self._make_annotator, folder),
            compute=data.ActorPoolStrategy(size=self._workers),
            num_gpus=int(self._on_gpu and "GPU" in self._ray.cluster_resources()),
        )
        for row in results.iter_rows():
            result = json.loads(row["result"])
            if "stop" in result:
                raise AnnotatorError(result["stop"])
            self.tokens += result.pop("tokens")
            yield Annotated(**result | {"rows": tuple(result["rows"])})


class _Worker:
    """An annotator in a process of its own. Errors travel as results: Ray would wrap and repeat them."""

    def __init__(self, make_annotator: Callable[[], Annotator], folder: Path) -> None:
        self._folder = folder
        self._stop = ""
        self._counted = 0
        try:
            self._annotator = make_annotator()
            check_coordinates(self._annotator)
        except GoTError as error:
            self._stop = str(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"result": json.dumps(self._result(Item(**json.loads(row["item"]))))}

    def _result(self, item: Item) -> dict[str, Any]:
        if self._stop:
            return {"stop": self._stop}
        try:
            annotated = annotate_item(item, self._folder, self._annotator)
        except AnnotatorError as error:
            return {"stop": str(error)}
        spent, self._counted = self._annotator.tokens - self._counted, self._annotator.tokens
        return {**asdict(annotated), "tokens": spent}


def _imported() -> Any:
    """The module ray.

    Raises:
        GoTError: it is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise GoTError(
            "--engine ray needs Ray Data, which is not installed. Install the extra ray: "
            'pip install ".[ray]" in the folder of this library, or pip install "ray[data]".'
        ) from error
    return ray


def _connect(ray: Any) -> None:
    """Joins or starts a cluster, and has it keep the order and leave the progress bar to us.

    Raises:
        GoTError: the one that `RAY_ADDRESS` names cannot be reached.
    """
    if not ray.is_initialized():
        address = os.environ.get(ADDRESS_VARIABLE, "")
        try:
            head = host_and_port(address)
            if head:  # Ray itself would try for more than ten minutes
                socket.create_connection(head, SECONDS_TO_CONNECT).close()
            ray.init(logging_level=logging.WARNING, log_to_driver=False)
        except (OSError, OverflowError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise GoTError(
                f"No Ray cluster can be reached: {error}. {ADDRESS_VARIABLE}, now {short_repr(address)}, "
                "names one, such as 10.0.0.1:6379 or ray://[::1]:10001; auto is the one here. Without it, "
                "one is started."
            ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True


def host_and_port(address: str) -> tuple[str, int] | None:
    """Where an address of Ray's leads, such as 10.0.0.1:6379, [::1]:6379 or ray://cluster.

    None for a word of Ray's own, such as auto, and for none at all.

    Raises:
        ValueError: its port is no number from 0 to 65535, or the brackets of IPv6 are not closed.
    """
    scheme, _, place = address.rpartition("://")
    if place.count(":") > 1 and "[" not in place:  # IPv6 without brackets, whose last group is the port
        place = "[{0}]:{2}".format(*place.rpartition(":"))
    parts = urlsplit(f"//{place}")
    port = parts.port or (CLIENT_PORT if scheme else None)
    return (parts.hostname, port) if parts.hostname and port else None
