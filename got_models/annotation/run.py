"""Annotating a folder: every picture and pair that is not done yet, into `data.jsonl` or `review.jsonl`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

from ..dataset.rows import DATA_FILE, check_picture, check_row, find_picture
from ..errors import GoTError
from ..pictures import open_picture
from .annotator import Annotator, AnnotatorError, ServerFailedError, check_coordinates
from .earlier import Earlier
from .editing import annotate_pair
from .generation import Annotation, annotate_picture
from .items import Item, items
from .output import REVIEW_FILE, output

WAITING_PER_WORKER = 4
FAILURES_IN_A_ROW = 5
"""How many items may fail on the server's side, one after the other, before it counts as down."""


@dataclass(frozen=True)
class Annotated:
    """An item's rows for `data.jsonl`; or none, and its row for `review.jsonl`.

    Attributes:
        server_failed: nothing is wrong with the item, as far as is known.
    """

    rows: tuple[dict[str, Any], ...] = ()
    review: dict[str, Any] = field(default_factory=dict)
    server_failed: bool = False


@dataclass(frozen=True)
class Progress:
    """How far an annotation is: items of this run, those of them that went to review, and tokens spent."""

    done: int
    total: int
    doubtful: int
    tokens: int


class Engine(Protocol):
    """Annotates items, on this machine or elsewhere.

    Attributes:
        tokens: how many it has spent so far.
    """

    @property
    def tokens(self) -> int: ...

    def annotate(self, todo: Iterable[Item], folder: Path) -> Iterator[Annotated]:
        """The results of items in their order.

        Raises:
            AnnotatorError: the annotator cannot be used at all.
        """
        ...


@dataclass(frozen=True)
class Threads:
    """An annotator in this process, asked about several items at once by threads."""

    annotator: Annotator
    workers: int = 1

    @property
    def tokens(self) -> int:
        return self.annotator.tokens

    def annotate(self, todo: Iterable[Item], folder: Path) -> Iterator[Annotated]:
        check_coordinates(self.annotator)
        yield from in_threads(todo, folder, self.annotator, self.workers)


def annotate_folder(
    folder: Path,
    annotator: Annotator,
    workers: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Annotates what a folder holds and earlier runs have not done. It may be killed and run again.

    Args:
        workers: how many items are annotated at once, by threads.
        on_progress: called after each item, and once before the first; may raise to stop.

    Raises:
        GoTError: no such folder, no picture in it, another annotation of it, an invalid line of
            `pairs.jsonl`, an annotator that is of no use, or a disk that is full. What is done is kept.
    """
    return annotate_by(Threads(annotator, workers), folder, on_progress)


def annotate_by(engine: Engine, folder: Path, on_progress: Callable[[Progress], None]) -> Progress:
    """As `annotate_folder`, by any engine, which is not started where nothing is to be done."""
    with output(folder) as files:
        earlier = Earlier(files)
        total = sum(1 for _ in earlier.left())
        done = doubtful = 0
        if not total and next(items(folder), None) is None:
            raise GoTError(f"There is no picture in {folder}, and so nothing to annotate.")
        on_progress(Progress(0, total, 0, engine.tokens))
        for result in unless_down(engine.annotate(earlier.left(), folder) if total else ()):
            if result.rows:
                files.write(DATA_FILE, result.rows)
            else:
                files.write(REVIEW_FILE, [result.review])
                doubtful += 1
            done += 1
            on_progress(Progress(done, total, doubtful, engine.tokens))
        return Progress(done, total, doubtful, engine.tokens)


def in_threads(todo: Iterable[Item], folder: Path, annotator: Annotator, workers: int) -> Iterator[Annotated]:
    """The results of items in their order, a few of them at work at once.

    The threads are daemons: an answer that takes minutes does not keep a program that was stopped.
    """
    if workers == 1:
        yield from (annotate_item(item, folder, annotator) for item in todo)
        return
    tasks: SimpleQueue[tuple[Item, Future[Annotated]] | None] = SimpleQueue()

    def work() -> None:
        for item, future in iter(tasks.get, None):
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(annotate_item(item, folder, annotator))
                except Exception as error:
                    future.set_exception(error)

    for _ in range(workers):
        Thread(target=work, daemon=True).start()
    waiting: deque[Future[Annotated]] = deque()
    try:
        for item in todo:
            waiting.append(Future())
            tasks.put((item, waiting[-1]))
            if len(waiting) >= WAITING_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for _ in range(workers):
            tasks.put(None)


def unless_down(results: Iterable[Annotated]) -> Iterator[Annotated]:
    """The results, without those of a server that has gone down: these are left for another run.

    Raises:
        AnnotatorError: several items have failed on its side, one after the other.
    """
    failed: list[Annotated] = []
    for result in results:
        if not result.server_failed:
            yield from (*failed, result)
            failed = []
            continue
        failed.append(result)
        if len(failed) == FAILURES_IN_A_ROW:
            raise AnnotatorError(
                f"{len(failed)} pictures failed one after the other, and are left for another run. "
                f"{failed[-1].review['reasons'][0]}"
            )
    yield from failed


def annotate_item(item: Item, folder: Path, annotator: Annotator) -> Annotated:
    """Annotates one item. Whatever is wrong with it is a reason to review it.

    Raises:
        AnnotatorError: the annotator cannot be used at all.
    """
    names = {"image": item.image} | ({"source": item.source} if item.source else {})
    known = {"prompts": [item.prompt]} if item.prompt else {}
    try:
        annotation = _annotation(item, folder, annotator)
    except AnnotatorError:
        raise
    except GoTError as error:
        failed = isinstance(error, ServerFailedError)
        return Annotated(review={**names, **known, "reasons": [str(error)]}, server_failed=failed)
    rows = [
        {"image": item.image, "prompt": prompt, "chain": annotation.chain.text, **names}
        for prompt in annotation.prompts
    ]
    doubts = [*annotation.doubts]
    try:
        for row in rows:
            check_row("", row, folder)
    except GoTError as error:
        doubts.append(str(error))
    if not doubts:
        return Annotated(tuple(rows))
    chain = {"prompts": [*annotation.prompts], "chain": annotation.chain.text}
    return Annotated(review={**names, **chain, "reasons": list(dict.fromkeys(doubts))})


def _annotation(item: Item, folder: Path, annotator: Annotator) -> Annotation:
    for name in (item.image, item.source):
        if name:
            check_picture(folder, name)
    picture = open_picture(find_picture(folder, item.image))
    if item.source is None:
        return annotate_picture(annotator, picture)
    return annotate_pair(annotator, open_picture(find_picture(folder, item.source)), picture, item.prompt)
