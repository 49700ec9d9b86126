"""Keys and deeds in SQL, on SQLite and PostgreSQL, written beside the writer of the log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from support.stored import add, run_sql, without_units

from onearm.engine.errors import Conflict, InvalidInput, NotFound
from onearm.engine.storage.access import ROTATE, Access
from onearm.engine.storage.records import Deed, Event, StoredKey
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE

KEY = StoredKey("k1", bytes(range(32)), "web", "shop", "read,write", "ban*", 5, 100)
DEED = Deed(None, 5, None, "shop", "keys.create", "k1", "command line")


@pytest.fixture
def access(url: str, store: Store) -> Iterator[Access]:
    """Yield the keys of a database whose writer is at work."""
    with closing(Access.open(url)) as access:
        yield access


def test_keys_are_written_beside_the_writer(url: str, store: Store, access: Access) -> None:
    key = add(store)
    last, _ = store.last(key)
    access.add_key(KEY, DEED)
    store.append([Event(key, last + 1, DECIDE, number=1000, action=0, propensity=1.0)])
    operators = StoredKey("k2", b"d", "me", None, "admin", "*", 6)
    access.add_key(operators, DEED._replace(subject="k2", tenant=None))
    with closing(Access.open(url)) as other:
        assert other.all_keys() == [KEY, operators]
    assert store.last(key)[0] == last + 1


def test_a_key_that_is_replaced_ends_when_it_is_said_or_before(access: Access) -> None:
    access.add_key(KEY, DEED)
    new = KEY._replace(id="k2", digest=b"2", created_at=6)
    access.replace_key("k1", 40, new, DEED._replace(action=ROTATE, subject="k1 k2"))
    access.replace_key("k2", 1000, new._replace(id="k3"), DEED._replace(action=ROTATE, subject="k2 k3"))
    assert [(key.id, key.expires_at) for key in access.all_keys()] == [("k1", 40), ("k2", 100), ("k3", 100)]


def test_a_key_is_replaced_once(access: Access) -> None:
    """Afterwards its end is that of the overlap, and no longer how long it was made for."""
    for id in ("k1", "k11"):
        access.add_key(KEY._replace(id=id), DEED._replace(subject=id))
    rotate = DEED._replace(action=ROTATE, subject="k1 k2")
    access.replace_key("k1", 40, KEY._replace(id="k2"), rotate)
    before = access.all_keys(), access.deeds(10)
    with pytest.raises(Conflict, match="'k1' was replaced by 'k2'") as refused:
        access.replace_key("k1", 30, KEY._replace(id="k3"), rotate._replace(subject="k1 k3"))
    assert refused.value.code == "key_replaced"
    assert (access.all_keys(), access.deeds(10)) == before
    access.replace_key("k11", 40, KEY._replace(id="k12"), rotate._replace(subject="k11 k12"))


def test_a_key_is_revoked_once(access: Access) -> None:
    access.add_key(KEY, DEED)
    revoke = DEED._replace(time=7, action="keys.revoke")
    assert access.revoke_key("k1", revoke).revoked_at == 7
    assert access.revoke_key("k1", revoke._replace(time=9)).revoked_at == 7
    assert access.all_keys() == [KEY._replace(revoked_at=7)]
    assert [deed.action for deed in access.deeds(10)] == ["keys.revoke", "keys.create"]


def test_what_fails_is_neither_done_nor_noted(access: Access) -> None:
    with pytest.raises(NotFound) as refused:
        access.revoke_key("k9", DEED)
    assert refused.value.code == "unknown_key"
    with pytest.raises(NotFound):
        access.replace_key("k9", 1, KEY, DEED)
    assert (access.all_keys(), access.deeds(10)) == ([], [])


def test_deeds_are_read_newest_first_and_of_one_tenant(access: Access) -> None:
    for n, tenant in enumerate(["shop", None, "news", "shop"], start=1):
        access.note(Deed(None, n, "k1", tenant, "experiments.create", f"e{n}", "127.0.0.1"))
    whole = access.deeds(10)
    assert [(deed.subject, deed.tenant) for deed in whole] == [
        ("e4", "shop"),
        ("e3", "news"),
        ("e2", None),
        ("e1", "shop"),
    ]
    assert access.deeds(2) == whole[:2]
    assert access.deeds(10, before=whole[1].seq) == whole[2:]
    assert access.deeds(10, tenant="shop") == [whole[0], whole[3]]


def test_many_may_write_at_once(url: str, store: Store) -> None:
    def write(n: int) -> None:
        with closing(Access.open(url)) as access:
            for m in range(5):
                access.note(DEED._replace(subject=f"{n} {m}"))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(Access.open(url)) as access:
        assert {deed.subject for deed in access.deeds(100)} == {f"{n} {m}" for n in range(4) for m in range(5)}


def test_a_database_of_an_older_version_is_left_to_its_writer(url: str) -> None:
    Store.open(url).close()
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '0005'")
    without_units(url)
    run_sql(url, *(f"DROP TABLE {table}" for table in ("base", "base_part", "audit", "api_key")))
    run_sql(url, "ALTER TABLE experiment DROP COLUMN deleted_at")
    with pytest.raises(InvalidInput) as refused:
        Access.open(url)
    assert refused.value.code == "older_schema"
    with closing(Store.open(url, write=False)) as store:  # its log is as it is now
        assert store.experiments() == []
    with closing(Store.open(url)), closing(Access.open(url)) as access:
        assert access.all_keys() == []
