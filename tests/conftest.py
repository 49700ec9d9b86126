"""What all tests share: the repository's root, the folder of real logs, a PostgreSQL server, and strict numbers.

Needs pytest, NumPy and numba only, so that one test runs in a checkout where nothing was installed.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

# NumPy multiplies with one thread: several spin while they wait for a busy processor, and a second became a minute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it is read once, where NumPy is imported
# What tests need compiled they wait for; a worker takes 3 s and more.
os.environ.setdefault("ONEARM_BACKGROUND", "off")
# Whom HTTP clients believe: here nobody. To read all authorities of the web takes 9 ms for each client and each poll.
os.environ["SSL_CERT_FILE"] = str(ROOT / "tests" / "fixtures" / "tls" / "authority.pem")

if importlib.util.find_spec("onearm") is None:  # it is not installed: the checkout's folders are the package
    places = [str(ROOT / "engine" / "_root"), str(ROOT)]
    spec = importlib.util.spec_from_file_location(
        "onearm", f"{places[0]}/__init__.py", submodule_search_locations=places
    )
    assert spec is not None and spec.loader is not None
    sys.modules["onearm"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["onearm"])

if importlib.util.find_spec("hypothesis") is not None:
    import hypothesis

    # Compiling inside an example takes seconds, and a busy machine is no bug; fixed examples keep a red run red.
    hypothesis.settings.register_profile("all", deadline=None, derandomize=True, max_examples=50)
    hypothesis.settings.register_profile("every run", hypothesis.settings.get_profile("all"), max_examples=10)
    hypothesis.settings.load_profile("all")

import numba  # noqa: E402
from support.compiled import as_python  # noqa: E402  these ask the package for the names of policies
from support.every_run import cover, mark_further  # noqa: E402
from support.needs import required  # noqa: E402
from support.subjects import LONG, LONG_AS_PYTHON, long_first, mark_by_folder  # noqa: E402

from onearm.engine.kernel import Entry, Loop  # noqa: E402
from onearm.engine.laws import gauss_legendre, largest, largest_beta  # noqa: E402
from onearm.engine.oracles import fourier_ridge, fourier_root  # noqa: E402
from onearm.envs import catalog as envs  # noqa: E402
from onearm.policies import catalog as policies  # noqa: E402

if TYPE_CHECKING:
    from support.postgres_server import Running

pytest_plugins = ["support.copies", "support.quick_databases"]

if not numba.config.DISABLE_JIT:
    from support import stamped

    stamped.watch()


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a program to be there that no test needs; draw fewer examples where slow tests are left out."""
    required()
    if "not slow" in config.option.markexpr and "hypothesis" in sys.modules:
        hypothesis.settings.load_profile("every run")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Let the garbage collector rest while tests are collected, and not walk them ever after: half of the time.

    From then on it looks at what is new less often, for what numba compiles is made of objects that live for a while.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files without a test marked `jit` where only such are asked for, as by `both_ways.py`."""
    if collection_path.suffix != ".py" or not re.match(r"\(?jit\)?( and |$)", config.option.markexpr):
        return None
    return "mark.jit" not in collection_path.read_text() or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of benchmarks and documentation, and what not every run tries; begin with what takes long."""
    mark_by_folder(items)
    mark_further(items, ROOT)
    cover(items)
    long_first(items, LONG_AS_PYTHON if numba.config.DISABLE_JIT else LONG)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real logs; READMEs in it say where they come from."""
    return ROOT / "tests" / "data"


@pytest.fixture
def entries_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every entry be compiled before it is called: all that is opened would else begin as Python, and stay that."""
    entry = Loop.entry

    def compiled(loop: Loop, *args: Any) -> Entry:
        found = entry(loop, *args)
        found.wait()
        return found

    monkeypatch.setattr(Loop, "entry", compiled)


@pytest.fixture
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what would wait for compiled code run as Python: the same to the bit, and done before it was compiled."""
    if not numba.config.DISABLE_JIT:
        as_python(monkeypatch)


@pytest.fixture
def few_cosines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let features that bend be 16 coordinates and not 256 where nothing is compiled.

    The rules are the same for any number; plain Python takes 0.1 s for one product with a 256 x 256 matrix.
    """
    if numba.config.DISABLE_JIT:
        monkeypatch.setattr(fourier_ridge, "COORDINATES", 16)
        monkeypatch.setattr(fourier_root, "MOST", 16)


@functools.cache
def _of_eight_nodes() -> dict[str, Any]:
    """Return the constants of a coarse quadrature; its rule takes a millisecond, for each of 1,600 tests."""
    place, weight, up_to = gauss_legendre._gauss_legendre(8)
    return {"NODES": 8, "PLACE": place, "WEIGHT": weight, "UP_TO": up_to, "_DROP": 15.0, "CHANGE": 15.0}


@pytest.fixture
def coarse_quadrature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the law of the largest of normal or beta draws be right to four digits where nothing is compiled.

    The rules are the same for any number of nodes; with all of them plain Python takes 2 ms for a law of four arms.
    """
    if numba.config.DISABLE_JIT:
        for name, value in _of_eight_nodes().items():
            for module in (gauss_legendre, largest, largest_beta):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, value)


@pytest.fixture(autouse=True)
def _names_of_files_go_with_the_test() -> Iterator[None]:
    """Forget the policies and environments that a test took from files: others list all there are."""
    known = [(catalog._outside, dict(catalog._outside)) for catalog in (policies, envs)]
    yield
    for names, before in known:
        if len(names) != len(before):
            names.clear()
            names.update(before)


@pytest.fixture
def own_postgres() -> Iterator[Running]:
    """Yield a server of one test, which may be started again."""
    from support import postgres_server

    with postgres_server.running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Yield the URL of a server, with {} for the database's name."""
    if url := os.environ.get("ONEARM_TEST_POSTGRES_URL"):  # postgresql://USER@HOST/{}
        yield url
        return
    from support import postgres_server

    with postgres_server.running() as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_database(postgres: str) -> str:
    from support import postgres_server

    return postgres_server.new_database(postgres, f"onearm_{os.getpid()}")


@pytest.fixture
def postgres_url(postgres_database: str) -> str:
    """Return the URL of a database without tables; it is one for all tests of a process: each more has 300 files."""
    from support import postgres_server

    postgres_server.empty(postgres_database)
    return postgres_database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database without tables: of a file of SQLite, and of a real server of PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/run.db"
    address: str = request.getfixturevalue("postgres_url")
    return address
