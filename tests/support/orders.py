"""Every order in which the steps of several requests can follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from greenlet import getcurrent, greenlet

from flask_openrouter.storage.memory import MemoryStorage


def every_order(
    start: Callable[[], Sequence[Callable[[], object]]], *, are_alike: bool = False
) -> Iterator[None]:
    """Run the tasks that ``start`` returns, once in each order of their steps.

    Yields after each run. A task's step ends where it calls :func:`next_step`. ``are_alike``: the
    tasks do the same, so only orders in which the first one begins.
    """
    order: list[int] = []
    while True:
        taken: list[tuple[int, int]] = []
        waiting = [greenlet(task) for task in start()]
        while waiting:
            choice = order[len(taken)] if len(taken) < len(order) else 0
            taken.append((choice, len(waiting)))
            waiting[choice].switch()
            waiting = [task for task in waiting if not task.dead]
        yield
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken or (are_alike and len(taken) == 1):
            return
        *earlier, (last, _) = taken
        order = [*(choice for choice, _ in earlier), last + 1]


def next_step() -> None:
    """Let another task go on. Outside of :func:`every_order`, do nothing."""
    parent = getcurrent().parent
    if parent is not None:
        parent.switch()


class SteppedStorage(MemoryStorage):
    """Each call is a step of its own."""

    def get(self, owner_id: str) -> str | None:
        next_step()
        return super().get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        next_step()
        super().set(owner_id, ciphertext)

    def add(self, owner_id: str, ciphertext: str) -> bool:
        next_step()
        return super().add(owner_id, ciphertext)

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        next_step()
        return super().replace(owner_id, ciphertext, new_ciphertext)

    def delete(self, owner_id: str) -> None:
        next_step()
        super().delete(owner_id)

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        next_step()
        return super().delete_if(owner_id, ciphertext)
