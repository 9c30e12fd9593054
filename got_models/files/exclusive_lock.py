"""A lock for one writer at a time: a lock file that the system releases however the process ends."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from huggingface_hub.utils import WeakFileLock

from ..errors import GoTError

LOCK_SECONDS = 0.2  # how long a second writer waits before it gives up


@contextmanager
def exclusive_lock(work: str, lock: Path, wait_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Holds a lock file for the duration of the context, and then removes it.

    Args:
        work: what is done under the lock, such as "import into models/got/GoT-6B"; for the message.
        lock: the file; its folder must exist.

    Raises:
        GoTError: another process holds the lock.
        OSError: the lock file cannot be created.
    """
    lock.parent.stat()  # the lock would create a missing folder
    with ExitStack() as stack:
        try:
            stack.enter_context(WeakFileLock(lock, timeout=wait_seconds))
        except TimeoutError as error:
            if not lock.exists():  # not held by anybody: some file systems report this error as if it were
                raise PermissionError(errno.EACCES, "no file can be made there", str(lock)) from error
            raise GoTError(f"Another {work} is running. Wait for it to end.") from error
        stack.callback(_remove, lock)
        yield


def _remove(lock: Path) -> None:
    with suppress(OSError):  # Windows keeps open files, and its lock removes the file itself
        lock.unlink()
