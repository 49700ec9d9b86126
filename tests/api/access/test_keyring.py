"""Whose request it is: headers and keys, before any of it is HTTP."""

from __future__ import annotations

import base64
from itertools import count
from typing import Any

import pytest

from onearm.api.access.caller import ANYONE, Caller
from onearm.api.access.keyring import CACHED_MAX, Keyring
from onearm.api.access.keys import NewKey, key_like, new_key
from onearm.engine.errors import Conflict, InvalidInput

MADE = new_key("web", "shop", ["write"], now=1_000_000, seconds=10)
OTHER = new_key("me", None, ["admin"], now=1_000_000)


class Clock:
    """A clock that a test sets, in microseconds."""

    now = 2_000_000

    def __call__(self) -> int:
        return self.now


def ring(*made: NewKey, clock: Clock | None = None) -> Keyring:
    unused: Any = None
    keyring = Keyring(unused, clock or Clock())
    keyring.take([one.row for one in made])
    return keyring


def asked(keyring: Keyring, header: bytes) -> Caller | None:
    return keyring.caller({b"host": b"localhost", b"authorization": header})


def test_without_keys_everyone_may_do_everything() -> None:
    assert asked(ring(), b"Bearer oa_0_0") is ANYONE
    assert ring().caller({}) is ANYONE


def test_a_key_is_known_by_bearer_and_by_a_browsers_basic() -> None:
    keyring = ring(MADE, OTHER)
    basic = base64.b64encode(b"anyone:" + MADE.text.encode())
    for header in (b"Bearer " + MADE.text.encode(), b"bearer " + MADE.text.encode(), b"Basic " + basic):
        for _ in range(2):  # looked up, and remembered
            found = asked(keyring, header)
            assert found is not None
            assert (found.key, found.tenant, found.roles) == (MADE.row.id, "shop", {"open", "write"})


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        MADE.text.encode(),
        b"Token " + MADE.text.encode(),
        b"Bearer " + MADE.text[:-1].encode(),
        b"Bearer " + MADE.text.encode() + b"x",
        b"Bearer oa_" + MADE.row.id.encode() + b"_" + OTHER.text.split("_", 2)[2].encode(),
        b"Bearer oa_" + MADE.row.id.encode() + b"_",
        b"Bearer \xff\xfe",
        b"Basic ***",
        b"Basic " + base64.b64encode(MADE.text.encode()),  # the name, and no password
    ],
    ids=count(),  # keys are random, and a test has the same name whenever it runs
)
def test_what_is_no_key_opens_nothing(header: bytes) -> None:
    assert asked(ring(MADE, OTHER), header) is None


def test_a_key_ends_when_it_expires_though_it_is_remembered() -> None:
    clock = Clock()
    keyring = ring(MADE, clock=clock)
    header = b"Bearer " + MADE.text.encode()
    clock.now = 10_999_999
    assert asked(keyring, header) is not None
    clock.now = 11_000_000
    assert asked(keyring, header) is None


def test_a_key_ends_when_it_is_revoked_though_it_is_remembered() -> None:
    keyring = ring(MADE, OTHER)
    header = b"Bearer " + MADE.text.encode()
    assert asked(keyring, header) is not None
    keyring.take([MADE.row._replace(revoked_at=1_500_000), OTHER.row])
    assert asked(keyring, header) is None
    assert asked(keyring, b"Bearer " + OTHER.text.encode()) is not None


def test_keys_that_all_ended_open_nothing_and_neither_does_a_table_that_is_empty_again() -> None:
    keyring = ring(MADE._replace(row=MADE.row._replace(revoked_at=1)))
    assert keyring.caller({}) is None
    keyring.take([])
    assert keyring.caller({}) is None


def test_headers_that_are_remembered_are_bounded() -> None:
    keyring = ring(MADE)
    for n in range(CACHED_MAX + 10):  # one key has many headers: any name goes with it as a password
        assert asked(keyring, b"Basic " + base64.b64encode(b"%d:" % n + MADE.text.encode())) is not None
    assert len(keyring._cached) <= CACHED_MAX


def test_keys_are_random_and_their_secrets_are_not_kept() -> None:
    many = [new_key("n", None, ["read"], now=0) for _ in range(100)]
    assert len({one.text for one in many}) == len({one.row.id for one in many}) == 100
    for one in many:
        secret = one.text.split("_", 2)[2]
        assert secret.encode() not in repr(one.row).encode()
        assert len(base64.urlsafe_b64decode(secret + "=")) == 32


def test_a_rotated_key_may_do_the_same_for_as_long() -> None:
    new = key_like(MADE.row, now=5_000_000)
    kept = (new.row.tenant, new.row.roles, new.row.experiments, new.row.name)
    assert kept == ("shop", "write", "*", "web")
    assert new.row.expires_at == 15_000_000
    with pytest.raises(Conflict, match="has ended or was revoked"):
        key_like(MADE.row, now=11_000_000)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"roles": []}, "the roles are none"),
        ({"roles": ["root"]}, "the roles are root: take of read, write, admin"),
        ({"roles": ["open"]}, "take of read, write, admin"),
        ({"tenant": "Shop"}, "the tenant is 'Shop'"),
        ({"tenant": "a~b"}, "the tenant is 'a~b'"),
        ({"tenant": ""}, "the tenant is ''"),
        ({"name": ""}, "the name is ''"),
        ({"name": "a\nb"}, "printable"),
        ({"experiments": ""}, "the pattern of experiments is ''"),
        ({"seconds": -1.0}, "must be from 0"),
        ({"seconds": float("nan")}, "must be from 0"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(changed: dict[str, Any], says: str) -> None:
    wanted = {"name": "web", "tenant": "shop", "roles": ["read"], "now": 0} | changed
    with pytest.raises(InvalidInput, match=says):
        new_key(wanted.pop("name"), wanted.pop("tenant"), wanted.pop("roles"), **wanted)
