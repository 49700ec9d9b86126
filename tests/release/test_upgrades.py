"""Nodes of this version and of one with a newer schema, from wheels, over one database while they are replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.checkouts import build, copy_checkout
from support.ports import free_port
from support.processes import Process
from support.street import Street, options_of

from onearm.engine.storage.schema import DIGITS, VERSION_TABLE, newest

if TYPE_CHECKING:
    from support.postgres_server import Running

NUMBER = newest()[:DIGITS]
ADDED, CHANGED = f"{NUMBER}z", f"{int(NUMBER) + 1:0{DIGITS}}"
REVISION = '''"""{about}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do it."""
    {steps}
'''
MORE = f"""for table in set(sa.inspect(op.get_bind()).get_table_names()) - {{"{VERSION_TABLE}"}}:
        op.add_column(table, sa.Column("remark", sa.Text))
        op.add_column(table, sa.Column("weight", sa.Integer, nullable=False, server_default="1"))
    op.create_table("more", sa.Column("key", sa.Integer, primary_key=True))"""
LESS = """op.drop_column("event", "remark")"""


class Versions(NamedTuple):
    """What wheels hold, unpacked: folders for Python's path."""

    old: Path  # this version
    adding: Path  # one whose schema only adds to that
    changing: Path  # one whose schema takes something away


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    steps = {ADDED: (newest(), MORE), CHANGED: (ADDED, LESS)}
    return Versions(
        unpacked(tmp_path_factory.mktemp("old"), {}),
        unpacked(tmp_path_factory.mktemp("adding"), {ADDED: steps[ADDED]}),
        unpacked(tmp_path_factory.mktemp("changing"), steps),
    )


def unpacked(folder: Path, revisions: dict[str, tuple[str, str]]) -> Path:
    """Build a wheel of this checkout, with further revisions of the schema, and unpack it."""
    copy_checkout(folder / "tree")
    for revision, (before, steps) in revisions.items():
        file = folder / "tree" / "engine" / "storage" / "migrations" / "versions" / f"v{revision}_test.py"
        file.write_text(REVISION.format(about="A test", revision=revision, before=before, steps=steps))
    with zipfile.ZipFile(build(folder / "tree", "build_wheel")) as wheel:
        wheel.extractall(folder / "packages")
    return folder / "packages"


class Installed(Process):
    """A node of a wheel."""

    def __init__(self, packages: Path, database: str, name: str) -> None:
        self.packages = packages
        port = free_port()
        super().__init__(database, *options_of(name, port), port=port)

    def start(self, program: object = None) -> None:
        arguments = ["serve", "--port", str(self.port), "--database", self.database, *self.options]
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  `end` closes it
        self.process = subprocess.Popen(  # type: ignore[assignment]
            [sys.executable, "-m", "onearm", *arguments],
            cwd=self.packages,
            env=os.environ | {"PYTHONPATH": str(self.packages), "NUMBA_DISABLE_JIT": "1"},
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            text=True,
        )
        self.answers = False


class Replaced(Street):
    """Nodes of the old version, and of those that take their places."""

    def __init__(self, database: str, versions: Versions, *names: str) -> None:
        self.packages = versions.old
        super().__init__(database, *names)

    def started(self, name: str) -> Process:
        return Installed(self.packages, self.database, name)

    def replace(self, name: str, packages: Path, how: signal.Signals = signal.SIGTERM) -> None:
        """End a node, and start it from another wheel."""
        said = self.nodes.pop(name).stop(how)
        assert "Traceback" not in said, said
        self.packages = packages
        self.again(name)
        self.settle()

    def revision(self) -> str:
        [(revision,)] = self.database_says(f"SELECT version_num FROM {VERSION_TABLE}")
        return str(revision)

    def refused(self, packages: Path, name: str) -> str:
        """Start one more node, which must end by itself, and return what it said."""
        node = Installed(packages, self.database, name)
        assert node.process.wait(60) == 2
        node.stderr.seek(0)
        said = node.stderr.read()
        node.end()
        return said


@pytest.fixture
def street(own_postgres: Running, versions: Versions) -> Iterator[Replaced]:
    from support.postgres_server import new_database

    street = Replaced(new_database(own_postgres.url, "street"), versions, "a", "b")
    try:
        street.begin()
        yield street
    finally:
        street.end()


@pytest.mark.slow
def test_one_node_after_another_is_replaced_and_old_and_new_take_over_from_each_other(
    street: Replaced, versions: Versions
) -> None:
    street.decide_everywhere("old alone")
    street.replace("b", versions.adding)
    assert street.revision() == ADDED
    street.decide_everywhere("old and new")
    street.nodes.pop("b").stop(signal.SIGKILL)
    street.decide_everywhere("the old one takes over")
    street.packages = versions.adding
    street.again("b")
    street.settle()
    street.replace("a", versions.old, signal.SIGKILL)  # as a worker that is started again
    street.decide_everywhere("an old one that was killed")
    street.replace("a", versions.adding)
    street.decide_everywhere("new alone")
    street.nodes.pop("a").stop(signal.SIGKILL)
    street.decide_everywhere("the new one takes over")
    street.assert_sound()


@pytest.mark.slow
def test_what_takes_something_away_waits_until_nobody_needs_it(street: Replaced, versions: Versions) -> None:
    street.decide_everywhere("old")
    says = street.refused(versions.changing, "c")
    assert "others are at work in it: stop them all" in says and "Traceback" not in says
    assert street.revision() == newest()
    street.decide_everywhere("still old")
    street.replace("b", versions.adding)
    assert "stop them all" in street.refused(versions.changing, "c")
    street.replace("a", versions.adding)
    street.decide_everywhere("new")
    for node in list(street.nodes.values()):
        assert "Traceback" not in node.stop(signal.SIGTERM)
    street.nodes.clear()
    street.packages = versions.changing
    street.again("c")
    assert street.revision() == CHANGED
    street.decide_everywhere("newest")
    said = street.refused(versions.adding, "a")
    assert f"has the schema {CHANGED!r}" in said and "Traceback" not in said
    digests = {name: street.ask("GET", f"/v1/experiments/{name}").json()["digest"] for name, _ in street.told}
    assert len(digests) > 1
    assert "Traceback" not in street.nodes.pop("c").stop(signal.SIGTERM)


@pytest.mark.slow
def test_a_table_that_somebody_reads_for_long_holds_nobody_up(street: Replaced, versions: Versions) -> None:
    """As a dump does: nodes that write would wait behind the one that waits for its end."""
    import psycopg

    with psycopg.connect(street.database) as dump:
        dump.execute("SELECT count(*) FROM event").fetchall()
        said = street.refused(versions.adding, "c")
        assert "as pg_dump does; start this again" in said and "Traceback" not in said
        street.decide_everywhere("meanwhile")
    assert street.revision() == newest()
    street.replace("b", versions.adding)
    assert street.revision() == ADDED
    street.decide_everywhere("after that")
    street.assert_sound()
