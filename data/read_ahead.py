"""A background thread that prepares the items of an iterator. Decoding Arrow data releases the interpreter, so a thread is enough."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Iterator[T], Generic[T]):
    """The items of an iterator, with up to `depth` of them prepared in advance. Its errors are raised in the thread that asks for items."""

    def __init__(self, source: Iterator[T], depth: int) -> None:
        self.waited = 0.0  # seconds for which the consumer waited
        self._queue: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(source,), daemon=True, name="read-ahead")
        self._thread.start()

    def _run(self, source: Iterator[T]) -> None:
        try:
            for item in source:
                if not self._put((item, None)):
                    return
            self._put((None, StopIteration()))
        except BaseException as error:
            self._put((None, error))

    def _put(self, entry: tuple[T | None, BaseException | None]) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __next__(self) -> T:
        if self._stop.is_set():
            raise StopIteration
        started = time.perf_counter()
        item, error = self._queue.get()
        self.waited += time.perf_counter() - started
        if error is not None:
            self._stop.set()
            raise error
        assert item is not None
        return item

    def close(self) -> None:
        """Stop the thread. Prepared items are lost."""
        self._stop.set()
        self._thread.join(timeout=10)
