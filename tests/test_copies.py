"""Tests that are collected once and run by two copies of the process."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import with_numba

FILES = {
    "test_one.py": """
        import time
        from pathlib import Path

        def test_meets_the_other():
            meet("one", "two")

        def meet(me, other):
            print(f"{me} is here")
            Path(me).touch()
            for _ in range(1000):
                if Path(other).exists():
                    return
                time.sleep(0.05)
            raise AssertionError(f"{other} does not come")

        def test_fails():
            print("printed by what fails")
            assert [1, 2] == [1, 3]
        """,
    "test_two.py": """
        import pytest
        from test_one import meet

        def test_meets_the_other():
            meet("two", "one")

        @pytest.fixture(scope="session", autouse=True)
        def left(tmp_path_factory):
            yield
            (tmp_path_factory.getbasetemp() / "torn down").touch()

        @pytest.mark.parametrize("place", range(3))
        def test_is_given_a_folder(place, tmp_path, record_property):
            record_property("folder", tmp_path)
        """,
}
ENDS = "import os, signal\n\ndef test_ends():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
PYTEST = "import sys, pytest\nsys.exit(pytest.main(sys.argv[1:]))"
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # other plugins take as long to import as all else
WAITS = "import time\n\ndef test_waits():\n    time.sleep(0.05)\n"


def run(folder: Path, *arguments: str, **more: str) -> tuple[int, str, ElementTree.Element]:
    """Run the tests of a folder in two copies of one process; return the code, what is said, and the report."""
    for name, text in (FILES | more).items():
        lines = text.splitlines()
        (folder / name).write_text("\n".join(line.removeprefix(" " * 8) for line in lines) + "\n")
    (folder / "pytest.ini").touch()
    told = ["-p", "support.copies", "--processes", "2", "--junitxml=report.xml", f"--basetemp={folder / 'temporary'}"]
    ended = with_numba.run(
        PYTEST, *told, *arguments, path=[*map(Path, sys.path)], folder=folder, **with_numba.AS_PYTHON, **ALONE
    )
    return ended.returncode, ended.stdout, ElementTree.parse(folder / "report.xml").getroot()


def test_two_run_at_once_each_test_once_and_all_is_told_as_ever(tmp_path: Path) -> None:
    """Two tests wait for each other, and hear what they print themselves."""
    code, said, report = run(tmp_path, "-o", "junit_logging=system-out", "-o", "junit_log_passing_tests=true")
    tests = [*report.iter("testcase")]
    assert code == pytest.ExitCode.TESTS_FAILED
    assert len(tests) == 6 and "1 failed, 5 passed" in said
    assert [test.attrib["name"] for test in tests if test.find("failure") is not None] == ["test_fails"]
    assert "assert [1, 2] == [1, 3]" in said and "printed by what fails" in said
    met = {
        test.attrib["classname"]: test.findtext("system-out") or "" for test in tests if "meets" in test.attrib["name"]
    }
    assert "one is here" in met["test_one"] and "two is here" not in met["test_one"]
    assert "two is here" in met["test_two"] and "one is here" not in met["test_two"]
    assert len({one.attrib["value"] for one in report.iter("property")}) == 3  # a folder for each test
    assert (tmp_path / "temporary" / "torn down").exists()


def test_a_process_that_ends_is_told_with_its_test_and_the_other_goes_on(tmp_path: Path) -> None:
    code, said, report = run(tmp_path, "-k", "not meets", **{"test_ends.py": ENDS})
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "a process ended with -9, and with it test_ends.py::test_ends and what came next" in said
    assert len([*report.iter("testcase")]) >= 1


def test_after_a_failure_nothing_more_begins_where_that_was_asked_for(tmp_path: Path) -> None:
    code, said, report = run(tmp_path, "--exitfirst", **{f"test_x{i}.py": WAITS for i in range(40)})
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "stopping after 1 failures" in said
    assert len([*report.iter("testcase")]) < 6 + 40 // 2


def test_when_there_is_room_further_processes_join(tmp_path: Path) -> None:
    """Two tests keep the two processes busy until a third was begun, for which one of them makes room.

    A process takes its next test ahead: the two that are busy have one more of the same file.
    """
    makes = "from pathlib import Path\nfrom test_one import meet\n\ndef test_makes_room():\n"
    more = "\ndef test_makes_room_for_more():\n    pass\n"
    files = {
        "test_a.py": makes + "    Path('room').touch()\n    meet('a', 'c')\n" + more,
        "test_b.py": makes + "    meet('b', 'c')\n" + more,
        "test_c.py": makes + "    meet('c', 'a')\n",
    }
    code, said, _ = run(tmp_path, "--further=1", f"--room={tmp_path / 'room'}", "-k", "makes_room", **files)
    assert code == pytest.ExitCode.OK and "5 passed" in said
