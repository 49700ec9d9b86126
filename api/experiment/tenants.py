"""Tenants: every experiment belongs to one, and its id is unique within it.

A database knows an experiment by its *name*: the id where it is the default tenant's, and ~TENANT~ID for others. No
id begins with a tilde, so no two experiments have one name. The operator calls experiments by their names, in paths and
on the command line; a tenant knows ids alone.

>>> name_of("default", "banner"), name_of("shop", "banner")
('banner', '~shop~banner')
>>> parts_of("~shop~banner"), parts_of("banner"), parts_of("~5")
(('shop', 'banner'), ('default', 'banner'), ('default', '~5'))
"""

from __future__ import annotations

import re

from ...engine.errors import InvalidInput, NotFound

DEFAULT = "default"  # whose all experiments are that were made without a tenant
TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
NAME = re.compile(rf"~(?P<tenant>{TENANT.pattern})~(?P<id>.+)", re.DOTALL)


def check_tenant(tenant: str) -> str:
    """Return the name of a tenant: 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or a digit first."""
    if not TENANT.fullmatch(tenant):
        raise InvalidInput(
            "bad_tenant",
            f"the tenant is {tenant[:80]!r}: it has 1 to 63 of a-z, 0-9, dot, dash and underscore, and begins with a "
            "letter or a digit",
        )
    return tenant


def name_of(tenant: str, experiment_id: str) -> str:
    """Return the name of a tenant's experiment."""
    return experiment_id if tenant == DEFAULT else f"~{tenant}~{experiment_id}"


def parts_of(name: str) -> tuple[str, str]:
    """Return the tenant and the id that a name is made of."""
    found = NAME.fullmatch(name)
    return (DEFAULT, name) if found is None else (found["tenant"], found["id"])


def unknown_experiment(tenant: str, experiment_id: str) -> NotFound:
    """Return what is raised where a tenant has no such experiment, or a caller must not know of it."""
    whose = "" if tenant == DEFAULT else f" of the tenant {tenant!r}"
    return NotFound(
        "unknown_experiment", f"there is no experiment {experiment_id!r}{whose}: create it with POST /v1/experiments"
    )
