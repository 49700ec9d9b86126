"""The house as a test: imports run one way, and files keep the rules of the design (docs/architecture.md)."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import grimp
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("engine", "policies", "envs", "api")
FILES = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
SCRIPTS = [file for room in ("tests", "benchmarks") for file in sorted((ROOT / room).rglob("*.py"))]

# What each part may import of the package, longest prefix first: never up, never sideways.
ARROWS = {
    "engine._root": {"api"},  # the root package: `onearm.open` and the command line
    "engine.storage": {"engine", "engine.storage"},
    "engine": {"engine"},
    "policies": {"engine", "policies.catalog", "policies.artefacts"},
    "envs": {"engine", "envs.catalog"},
    "api": {"engine", "engine.storage", "policies", "envs", "api"},
}
# What the foundation may import from outside, beside the standard library.
FOUNDATION = {"numpy", "numba", "llvmlite"}  # llvmlite builds what numba compiles
EXCEPT = {
    "engine.storage": {"sqlalchemy", "alembic", "pyarrow", "msgspec", "filelock"},
    "engine.compiled.worker": {"filelock"},
    "engine.hardness.exact": {"scipy"},
}
# The engine has no clock, disk or network. Who needs one says why.
WORLD = {
    "time",
    "datetime",
    "random",
    "socket",
    "subprocess",
    "urllib",
    "http",
    "asyncio",
    "os",
    "shutil",
    "tempfile",
}
WORLD_NEEDED = {
    "engine/compiled/apart.py": {"os", "subprocess"},  # another process compiles
    "engine/compiled/background.py": {"os", "time"},  # a child begins anew; what is compiled since when
    "engine/compiled/worker.py": {"os", "time"},  # that process
    "engine/compiled/stamp.py": {"time"},  # what was edited after the process began is not what it runs
    "engine/compiled/store.py": {"os", "shutil", "tempfile", "time"},  # a folder, whose files leave by age
    "engine/simulation.py": {"os", "time"},  # counts processors and measures its own speed
    "engine/replay/folding.py": {"time"},  # how long a log may take as Python
    "engine/replay/matching.py": {"time"},  # measures its own speed
}
# Imports inside a function, each with its reason.
LAZY = {
    "engine/_root/__init__.py": "`onearm --help` must not pay for numba",
    "api/kinds/engine.py": "as the next: a report of its log is asked of a service",
    "api/open.py": "an engine in memory starts without SQL: half of its start",
    "api/durable/opening.py": "an engine whose experiment needs no service starts without HTTP",
    "api/console.py": "rich takes 80 ms, and most of what is printed goes to a pipe",
    "api/log_files.py": "the help of commands names formats, and must not pay for NumPy",
    "api/cli/options.py": "as the last: what an option loads, if it is given",
    "api/cli/offline_options.py": "as the last",
    "api/simulated.py": "estimators take a tenth of the start of `simulate`, where one policy is compared with none",
    "api/cli/evaluate.py": "`onearm evaluate --help` must not pay for numba: what it does is imported when it runs",
    "api/cli/export.py": "as the last",
    "api/cli/envs.py": "as the last",
    "api/cli/policies.py": "as the last",
    "engine/compiled/layout.py": "a part of numba for compilers takes a twentieth of a start that compiles nothing",
    "engine/compiled/worker.py": "filelock brings asyncio, a tenth of the start of a command that compiles nothing",
    "engine/storage/schema.py": "Alembic takes a quarter of a second, and hardly any database must be migrated",
    "engine/_root/__main__.py": "as the first: the command line is not needed by `import onearm`",
    "api/http/dashboard/rendering.py": "jinja2 takes a twentieth of the time of a start, and machines look at no pages",
    "api/client/*/client.py": "a client that decides neither vectors nor lists starts without NumPy",
    "api/client/frames.py": "pandas need not be installed, and takes half a second",
    "api/kinds/*/*.py": "who serves decisions need not load Gymnasium",
}
KINDS = sorted(folder.parent.name for folder in (ROOT / "api/kinds").glob("*/kind.py"))
WORDS = {"budget", "floor", "sticky"}  # names of policies that are words of ours as well
GUARD = 'if __name__ != "onearm.{room}":'
VAGUE = re.compile(r"(?:^|_)(utils?|helpers?|common|misc|tools)(?:$|_)")
# An index, a registry's host or a file's address belongs to one network and not in a repository.
ADDRESS = re.compile(
    r"index[-_]url|--find-links|trusted-host|artifactory|pypi\.org|pythonhosted|registry\.npmjs"
    r"|https?://[^\s\"')]*/(?:simple|packages)/",
    re.IGNORECASE,
)
# What any of these has in it, in small letters: to look for that first takes a tenth of the time.
SIGNS = ("index_url", "index-url", "--find-links", "trusted-host", "artifactory", "pypi.org", "pythonhosted")
SIGNS += ("registry.npmjs", "/simple/", "/packages/")
VENDORED = ("api/http/static/htmx/", "api/http/static/swagger/", "api/http/static/uplot/")
# What a newcomer can take in: files and functions in lines, and how many modules and folders lie flat in engine/.
FILE_P95, FILE_MAX = 350, 500
FUNCTION_P95, FUNCTION_MAX = 30, 65
ENGINE_ROOMS = 39
IMPORTS_SEEN = 1800  # a graph that sees fewer is blind
RANK = {"engine": 0, "engine.storage": 1, "policies": 1, "envs": 1, "api": 2, "api.cli": 3}


def name_of(file: Path) -> str:
    """Return the dotted name of a file below the root: engine.loop, policies (for its __init__.py)."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def part_of(name: str, parts: Iterable[str]) -> str | None:
    """Return the longest of `parts` that holds the module `name`."""
    return max((part for part in parts if within(name, part)), key=len, default=None)


def imports(source: str, name: str, package: bool = False) -> Iterator[str]:
    """Yield every module that the module `name` imports, `from a import b` as a.b; `package`: it is an __init__.py."""
    home = ["onearm", *name.split(".")]
    for node in statements(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + package] if node.level else []
            place = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{place}.{alias.name}" for alias in node.names)


@functools.cache
def parsed(source: str) -> ast.Module:
    """Return a file's or a line's tree; many tests ask for the same."""
    return ast.parse(source)


@functools.cache
def walked(source: str) -> list[ast.AST]:
    """Return every node of a tree."""
    return list(ast.walk(parsed(source)))


@functools.cache
def statements(source: str) -> list[ast.AST]:
    """Return every statement of a tree: a tenth of its nodes, and all that imports and functions are found in."""
    return list(statements_below(parsed(source)))


def statements_below(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements in the blocks of a statement, and theirs."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, block, ()):
            yield inner
            yield from statements_below(inner)


@functools.cache
def imports_of(file: Path) -> list[str]:
    """Return every module that a file of the rooms imports."""
    return list(imports(file.read_text(), name_of(file), file.stem == "__init__"))


def absolute(source: str) -> list[int]:
    """Return the lines that import our own modules by their whole name."""
    return [
        node.lineno
        for node in statements(source)
        if (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and within(node.module or "", "onearm")
            and node.module != "onearm"
        )
        or (isinstance(node, ast.Import) and any(within(alias.name, "onearm") for alias in node.names))
    ]


def forbidden(name: str, source: str, package: bool = False) -> list[str]:
    """Return the imports of module `name` that break the arrows."""
    part = part_of(name, ARROWS)
    assert part is not None
    wrong = []
    for imported in imports(source, name, package):
        if within(imported, "onearm"):
            target = imported.removeprefix("onearm").removeprefix(".")
            # `engine.storage` is a room of its own: the arrow to `engine` does not open it.
            holder = part_of(target, [*ARROWS, *ARROWS[part]])
            own = within(target, name)
            if target and not own and holder not in ARROWS[part]:
                wrong.append(f"{name} imports {imported}")
        elif part in ("engine", "engine.storage"):
            allowed = FOUNDATION | EXCEPT.get(part_of(name, EXCEPT) or "", set())
            top = imported.partition(".")[0]
            if top not in allowed and top not in sys.stdlib_module_names:
                wrong.append(f"{name} imports {imported}: the engine stands on NumPy, numba and the standard library")
    return wrong


def lazy_imports(source: str) -> list[int]:
    """Return the lines of imports inside functions."""
    return [
        inner.lineno
        for outer in statements(source)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in statements_below(outer)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]


def test_imports_run_one_way() -> None:
    found = [forbidden(name_of(file), file.read_text(), file.stem == "__init__") for file in FILES]
    assert [wrong for wrongs in found for wrong in wrongs] == []


def test_the_rooms_import_each_other_relatively() -> None:
    """Editors and type checkers read these files as engine/loop.py, not as onearm/engine/loop.py."""
    rooms = [file for file in FILES if not {"_root", "_moved"} & set(file.parts)]
    assert {
        file.relative_to(ROOT).as_posix(): absolute(file.read_text()) for file in rooms if absolute(file.read_text())
    } == {}
    assert absolute("from onearm.engine.loop import decide") == absolute("import onearm.api") == [1]
    assert absolute("from .loop import decide") == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("engine.loop", "from ..policies.ucb1 import ucb1"),
        ("engine.loop", "import onearm.api"),
        ("engine.loop", "from .storage import store"),
        ("engine.loop", "import scipy.stats"),
        ("engine.problem", "def f():\n    import sqlalchemy"),
        ("engine.storage.store", "from ...api.service import Service"),
        ("engine.storage.store", "import fastapi"),
        ("policies.arms.ucb1", "from ...envs.bernoulli import bernoulli"),
        ("policies.arms.ucb1", "from .moss import moss"),
        ("policies.arms.ucb1", "from ...engine.storage.tables import Event"),
        ("envs.arms.bernoulli", "from ...policies import catalog"),
        ("envs.arms.bernoulli", "from .normal import normal"),
    ],
)
def test_an_import_against_the_arrows_is_found(name: str, line: str) -> None:
    assert len(forbidden(name, line)) == 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("engine.loop", "from .kernel import kernel"),
        ("engine.hardness.exact.value", "import scipy.optimize"),
        ("engine.storage.store", "import sqlalchemy"),
        ("policies.arms.ucb1", "from ...engine.kernel import kernel"),
        ("api.service.service", "from ...engine.storage import database"),
        ("api.cli.policies", "from ...policies import catalog"),
    ],
)
def test_an_import_along_the_arrows_is_allowed(name: str, line: str) -> None:
    assert forbidden(name, line) == []


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Return what each module imports of the package, as import tools see it; names as in `name_of`."""
    found = grimp.build_graph("onearm", cache_dir=None)
    assert found.count_imports() >= IMPORTS_SEEN
    own = {module for module in found.modules if part_of(module.removeprefix("onearm."), ROOMS)}
    return {
        module.removeprefix("onearm."): {
            target.removeprefix("onearm.") for target in found.find_modules_directly_imported_by(module) & own
        }
        for module in own
    }


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules on circles of imports: what is left when modules without imports are taken away again."""
    left = {module: set(targets) for module, targets in graph.items()}
    while ends := {module for module, targets in left.items() if not targets & left.keys()}:
        left = {module: targets for module, targets in left.items() if module not in ends}
    while starts := left.keys() - {target for targets in left.values() for target in targets}:
        left = {module: targets for module, targets in left.items() if module not in starts}
    return sorted(left)


def test_no_import_runs_in_a_circle(graph: dict[str, set[str]]) -> None:
    """Also those for type checkers only: grimp sees them as it sees the others."""
    assert circles(graph) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == ["b", "c"]


def test_no_arrow_of_the_graph_goes_up(graph: dict[str, set[str]]) -> None:
    """No library imports the command line either: `api.cli` stands above the rest of api."""
    up = []
    for module, targets in graph.items():
        if not within(module, "engine._root"):
            rank = RANK[part_of(module, RANK) or ""]
            up += [f"{module} -> {target}" for target in targets if RANK[part_of(target, RANK) or ""] > rank]
    assert up == []


def test_the_engine_has_few_rooms(graph: dict[str, set[str]]) -> None:
    """An old name that only leads to a new one (`engine/moved.py`) is no room."""
    rooms = {module for module in graph if module.startswith("engine.") and module.count(".") == 1}
    old_names = {module for module in rooms if graph[module] == {"engine.moved"}}
    assert len(rooms - old_names - {"engine._root"}) <= ENGINE_ROOMS


def test_files_are_short() -> None:
    lines = {file.relative_to(ROOT).as_posix(): len(file.read_text().splitlines()) for file in FILES}
    assert {path: n for path, n in lines.items() if n > FILE_MAX} == {}
    assert np.percentile(list(lines.values()), 95) <= FILE_P95


def test_functions_fit_a_screen() -> None:
    lines = {
        f"{name_of(file)}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for file in FILES
        for node in statements(file.read_text())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: n for name, n in lines.items() if n > FUNCTION_MAX} == {}
    assert np.percentile(list(lines.values()), 95) < FUNCTION_P95


def test_the_engine_has_no_clock_disk_or_network() -> None:
    for file in FILES:
        path = file.relative_to(ROOT).as_posix()
        if part_of(name_of(file), ARROWS) == "engine":
            used = {imported.partition(".")[0] for imported in imports_of(file)} & WORLD
            assert used <= WORLD_NEEDED.get(path, set()), path


def test_only_the_loop_and_wrappers_call_kernels() -> None:
    asked = {"select", "update", "observe", "respond", "regret"}
    for file in FILES:
        name = name_of(file)
        called = {
            imported.rpartition(".")[2]
            for imported in imports_of(file)
            if imported.startswith("onearm.engine.protocol.")
        }
        # A policy or an environment may wrap another one, so the two rooms may ask; nobody else.
        if name != "engine.loop" and part_of(name, ("policies", "envs")) is None:
            assert not called & asked, f"{name} calls {called & asked}: only engine/loop.py does"


def nodes(folder: str, *except_in: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield the path and every node of the files below a folder, but of those below some others."""
    for file in FILES:
        path = file.relative_to(ROOT).as_posix()
        if path.startswith(folder) and not path.startswith(except_in):
            yield from ((path, node) for node in walked(file.read_text()))


def told_apart(node: ast.AST) -> bool:
    """Tell whether a node asks which kind of decisions a problem, or a live experiment, has."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        return ast.unparse(node.args[0]) == "live"
    of_kinds = isinstance(node, ast.Attribute) and node.attr in ("domain", "task", "slots", "list_slots", "action_kind")
    return of_kinds and ast.unparse(node.value).split(".")[-1] == "problem"  # type: ignore[attr-defined]


def test_kinds_of_decisions_are_told_apart_in_one_place() -> None:
    """A new kind is a folder and a line in a table: whoever tells kinds apart elsewhere would have to know it."""
    found = [f"{path}: {ast.unparse(node)}" for path, node in nodes("api/", "api/kinds/") if told_apart(node)]
    assert found == []
    asks = ("isinstance(live, Live)", "spec.problem.domain", "problem.action_kind", "self.problem.task")
    assert all(told_apart(ast.parse(ask, mode="eval").body) for ask in asks)


def test_the_service_knows_no_policy_by_name() -> None:
    """But for the policies that it takes where none is named: each kind's `problem.py` says which, or its `kind.py`."""
    policies = {file.stem for file in FILES if within(name_of(file), "policies") and file.stem != "__init__"}
    assert "ucb1" in policies
    for room in ("api/experiment/", "api/service/", "api/http/", "api/kinds/"):
        for path, node in nodes(
            room, *(f"api/kinds/{kind}/{file}.py" for kind in KINDS for file in ("problem", "kind"))
        ):
            known = isinstance(node, ast.Constant) and node.value in policies - WORDS
            assert not known, f"{path} knows the policy {ast.unparse(node)}: let `Policy` say what is special about it"


def test_imports_stand_at_the_top_of_a_file() -> None:
    found = {file.relative_to(ROOT).as_posix(): lazy_imports(file.read_text()) for file in FILES}
    lazy = [path for path, lines in found.items() if lines]
    assert [path for path in lazy if not any(fnmatch(path, known) for known in LAZY)] == []
    assert [known for known in LAZY if not any(fnmatch(path, known) for path in lazy)] == [], "an exception too many"


def test_an_import_inside_a_function_is_found() -> None:
    assert lazy_imports("import a\ndef f():\n    if True:\n        from b import c\n") == [4]


def climbed(path: ast.AST) -> tuple[str, int]:
    """Return where the expression of a path begins, and how often it then goes to the parent."""
    match path:
        case ast.Attribute(value=below, attr="parent"):
            start, up = climbed(below)
            return start, up + 1
        case ast.Subscript(value=ast.Attribute(value=below, attr="parents"), slice=ast.Constant(value=int(n))):
            start, up = climbed(below)
            return start, up + n + 1
        case ast.Call(func=ast.Attribute(value=below, attr="resolve")):
            return climbed(below)
    return ast.unparse(path), 0


def outside(depth: int, source: str) -> list[str]:
    """Return the paths above the root in a file that lies `depth` folders below it."""
    most = {"ROOT": 0, "Path(__file__)": depth + 1}
    wrong = []
    for node in walked(source):
        above = node.value if isinstance(node, ast.Subscript) else node
        if isinstance(above, ast.Attribute) and above.attr in ("parent", "parents"):
            start, up = climbed(node)
            if up > most.get(start, up):
                wrong.append(ast.unparse(node))
    return wrong


def test_no_script_reaches_outside_the_repository() -> None:
    """A clone has nothing beside it: what tests and benchmarks read comes with it."""
    for file in SCRIPTS:
        source = file.read_text()
        assert ".parent" not in source or outside(len(file.relative_to(ROOT).parts) - 1, source) == [], file


def test_a_path_above_the_root_is_found() -> None:
    assert outside(1, "Path(__file__).resolve().parent.parent / 'docs'") == []
    assert outside(2, "Path(__file__).resolve().parents[2]") == []
    assert outside(1, "PAGE.parent / 'logs.md'") == []
    assert outside(1, "data = ROOT.parent / 'data'") == ["ROOT.parent"]
    assert outside(1, "Path(__file__).resolve().parents[2]") == ["Path(__file__).resolve().parents[2]"]
    assert outside(0, "Path(__file__).parent.resolve().parent.joinpath('data')") == [
        "Path(__file__).parent.resolve().parent"
    ]


def test_every_file_says_what_it_is_for() -> None:
    """To look for the quotes takes a hundredth of the time of parsing."""
    for file in [*FILES, *SCRIPTS]:
        docstring = re.match(r'"""\s*(\S.*?)\s*"""', file.read_text(), re.DOTALL)
        assert docstring, f"{file}: write one sentence at its top"
        assert docstring[1].splitlines()[0][-1] in ".:?", f"{file}: its first line is no sentence"


def test_files_are_named_for_a_subject() -> None:
    assert [file for file in [*FILES, *SCRIPTS] if VAGUE.search(file.stem)] == []
    assert [name for name in ("utils", "test_helpers", "common", "io_misc") if not VAGUE.search(name)] == []


def test_messages_show_values_that_people_gave_in_one_way() -> None:
    """By `as_seen`, which cuts what is long and writes numbers of any size."""
    shown = re.compile(r"\b(?:is|are) \{[a-z_]+(?:\['[a-z_]+'\])?!r\}[:,]")
    found = [f"{name_of(file)}: {match[0]}" for file in FILES for match in shown.finditer(file.read_text())]
    assert found == []


def test_class_names_are_unique() -> None:
    """Numba dispatches on the names of params and state classes."""
    names = Counter(
        node.name
        for file in FILES
        if part_of(name_of(file), ARROWS) in ("policies", "envs", "engine")
        for node in parsed(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert names["Ucb1Params"] == 1
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_not_imported_by_its_bare_name(room: str) -> None:
    first = next(
        node for node in ast.parse((ROOT / room / "__init__.py").read_text()).body if not isinstance(node, ast.Expr)
    )
    assert ast.unparse(first).startswith(GUARD.format(room=room).replace('"', "'"))
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert f"import it as onearm.{room}" in done.stderr


def test_the_repository_names_no_package_index() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    own = Path(__file__).relative_to(ROOT).as_posix()
    found = []
    for path in listed.rstrip("\0").split("\0"):
        file = ROOT / path
        if path == own or path.startswith(VENDORED) or not file.is_file():
            continue
        text = file.read_bytes().decode(errors="ignore").replace("--no-emit-index-url", "")
        small = text.lower()
        if any(sign in small for sign in SIGNS):
            found += [f"{path}: {match.group()}" for match in ADDRESS.finditer(text)]
    assert found == []


def test_locks_hold_hashes_and_no_address() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        lines = lock.read_text().replace("\\\n", "").splitlines()
        assert lines
        assert "://" not in lock.read_text(), lock
        assert [line for line in lines if not re.match(r"[a-z0-9._-]+(\[.*\])?==\S+ .*--hash=sha256:", line)] == []


def test_names_of_test_files_are_unique() -> None:
    """Tests lie in no packages: pytest takes the second file of a name for the first, and stops."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert [name for name in names if names.count(name) > 1] == []
