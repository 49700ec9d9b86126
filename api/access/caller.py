"""Who asks: which roles they have, and which experiments there are for them.

>>> shop = Caller("k1", "shop", frozenset({OPEN, READ}), "ban*")
>>> shop.named("banner"), shop.called("~shop~banner")
('~shop~banner', 'banner')
>>> shop.sees("~shop~banner"), shop.sees("~shop~price")
(True, False)
>>> ANYONE.named("~shop~banner"), ANYONE.named("~default~banner"), ANYONE.called("~shop~banner")
('~shop~banner', 'banner', '~shop~banner')
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Any, NamedTuple

from ...engine.errors import Forbidden
from ..experiment.tenants import DEFAULT, name_of, parts_of, unknown_experiment

OPEN, READ, WRITE, ADMIN = "open", "read", "write", "admin"
ROLES = (READ, WRITE, ADMIN)  # of keys; open is what needs none
OPERATOR = "operator"  # what whoever may read the experiments of all tenants may do
EVERY = "*"  # the pattern of all experiments
FOREVER = 2**63 - 1


class Caller(NamedTuple):
    """Who asks. The fields of a key, or what holds where none is asked for."""

    key: str | None  # its id
    tenant: str | None  # None: the operator, who sees the experiments of all
    roles: frozenset[str]  # with open
    experiments: str = EVERY  # a pattern of ids, of the operator's keys of names
    until: int = FOREVER  # microseconds since 1970 UTC

    def named(self, experiment_id: str) -> str:
        """Return the name of the experiment that they mean; raises `NotFound` where there can be none for them."""
        if self.tenant is None:
            tenant, experiment_id = parts_of(experiment_id)
        else:
            tenant = self.tenant
        name = name_of(tenant, experiment_id)
        if (self.tenant is not None and experiment_id.startswith("~")) or not self.sees(name):
            raise unknown_experiment(tenant, experiment_id)
        return name

    def called(self, name: str) -> str:
        """Return how they call the experiment of a name that is theirs."""
        return name if self.tenant is None else parts_of(name)[1]

    def sees(self, name: str) -> bool:
        """Tell whether the pattern of their key has the experiment of a name that is their tenant's."""
        return self.experiments == EVERY or _pattern(self.experiments).fullmatch(self.called(name)) is not None

    def placed(self, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the tenant of an experiment that they create, and its body with the id that it has there.

        Raises `Forbidden` where the key is for other experiments.
        """
        asked = body.get("experiment_id")
        tenant = DEFAULT if self.tenant is None else self.tenant
        if self.tenant is None and isinstance(asked, str):
            tenant, asked = parts_of(asked)
            body = body | {"experiment_id": asked}
        if self.experiments != EVERY and not (isinstance(asked, str) and self.sees(name_of(tenant, asked))):
            raise Forbidden(
                "other_experiments",
                f"this key is for experiments with ids as {self.experiments!r}: give such an experiment_id",
            )
        return tenant, body

    def may(self, role: str) -> bool:
        """Tell whether they have a role."""
        if role == OPERATOR:
            return self.tenant is None and self.experiments == EVERY and READ in self.roles
        return role in self.roles

    def check(self, role: str) -> None:
        """Raise `Forbidden` where they do not have a role."""
        if self.may(role):
            return
        if role == OPERATOR:
            if self.tenant is not None or self.experiments != EVERY:
                says = "this tells of all experiments of all tenants, and the key is for some: use the operator's"
                raise Forbidden("operator_needed", says)
            role = READ
        had = ", ".join(sorted(self.roles - {OPEN}))
        raise Forbidden("role_needed", f"this call needs the role {role!r}, and the key has {had}: use another key")


def roles_of(given: Iterable[str]) -> frozenset[str]:
    """Return what a key with some roles may do: an admin may do all.

    >>> sorted(roles_of(["write"])), sorted(roles_of(["admin"]))
    (['open', 'write'], ['admin', 'open', 'read', 'write'])
    """
    said = frozenset(given)
    return frozenset((OPEN, *ROLES)) if ADMIN in said else said | {OPEN}


ANYONE = Caller(None, None, roles_of([ADMIN]))  # where no key is asked for
NOBODY = Caller(None, None, frozenset({OPEN}))  # who sent no key that is known


@functools.lru_cache(1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text))
