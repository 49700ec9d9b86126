"""The floor of an experiment: the seq of the base that its log is folded from.

What was learned by then is not folded again: no correction reaches it, and no state before it can be told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from ...engine.errors import Conflict, OnearmError, Unavailable
from ...engine.storage.store import Store
from ..experiment.lineup import Member
from .bases import floor_of
from .history import History, folds_from
from .live import Live
from .writer import Writer


@asynccontextmanager
async def floor_raised(live: Live, seq: int, store: Store, writer: Writer[Live]) -> AsyncIterator[None]:
    """Take no corrections of what was learned up to a seq while it becomes the base, or any more once it is.

    Where that fails the floor is that of the record: a base may be there whose commit nobody heard of. It stays raised
    where the database does not say.
    """
    live.floor = max(live.floor, seq)
    try:
        yield
    except BaseException:
        with suppress(OnearmError):
            bases = await asyncio.shield(writer.run(store.bases, live.row.key))  # behind what may still be committed
            live.floor = floor_of(bases)
        raise


def reach(live: Live) -> int:
    """Return up to which event what was learned cannot be corrected: not all who decide are folded again from before.

    It is behind the floor where one began before that, and is not in that base.
    """
    deciding = [member for member in live.members if member.policy in live.spec.deciding]
    return max(folds_from(member, live.deciders, live.floor, live.seq) for member in deciding)


def check_floor(live: Live, to: int | None) -> None:
    """Refuse what would be folded to a seq before the base."""
    if to is not None and to < live.floor:
        raise Conflict(
            "compacted",
            f"the log of {live.spec.id!r} is folded from seq {live.floor} on: no state before can be told again",
        )


def check_corrected(live: Live) -> None:
    """Refuse for a while what ends that the log before can be folded, while its corrections do not reach the state."""
    if live.uncorrected:
        raise Unavailable(
            "correcting",
            f"{live.uncorrected} corrections of {live.spec.id!r} do not reach its state yet: try again in a while",
        )


def check_knows(store: Store, live: Live, joining: Iterable[Member], floor: int) -> None:
    """Check that who begins to decide at the next event knows all corrections of what it cannot learn again.

    The log is folded from `floor` on. For a worker thread. Raises `Conflict` ("compacted").
    """
    history, seq = History(live.created, store.changes(live.row.key), live.kind.change_types), live.seq + 1
    corrections = store.corrections(live.row.key, live.seq)
    for member in joining:
        number = member.policy
        begins, known = folds_from(member, history.deciders, floor, seq), history.paths.corrected_to(number, live.seq)
        if left := sum(one.seq > known and one.learned <= begins for one in corrections):
            raise Conflict(
                "compacted",
                f"policy {number} learned {left} rewards before they were corrected, and the log is folded from seq "
                f"{floor} on, so it cannot learn them again: retire it, and add the same policy anew",
            )
