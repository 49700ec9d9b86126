"""Pages of rows: the same whether they lie in memory or on disk, and bounded in memory however long the file is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.every_run import every_run

from onearm.engine.columns import empty
from onearm.engine.storage.rows import Page, Rows
from onearm.engine.vocabulary import Features, Problem


def page_of(n: int, first: int, problem: Problem, *, masked: bool = False) -> Page:
    rng = np.random.default_rng(first)
    columns = empty(n, problem, masked=masked)
    columns.reward[:] = rng.normal(size=n)
    columns.action[:] = rng.integers(0, 3, n)
    columns.number[:] = np.arange(first, first + n)
    if problem.nonzeros is None:
        columns.context[:] = rng.normal(size=columns.context.shape)
    else:
        columns.context.value[:] = rng.normal(size=len(columns.context.value))
    return Page(columns, np.arange(first + 2, first + n + 2), rng.integers(0, 2, n))


PROBLEMS = [Problem(3), Problem(3, (2,)), Problem(3, (3, 2)), Problem(3, (3, 16), nonzeros=4)]


@pytest.mark.parametrize("memory", [0, 500, 1 << 20])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: f"{problem.context_kind}{problem.context_shape}")
def test_pages_are_those_that_were_appended_wherever_they_lie(problem: Problem, memory: int) -> None:
    written = [page_of(n, 10 * n, problem, masked=n % 2 == 0) for n in (5, 4, 0, 7)]
    with Rows(memory=memory) as rows:
        for page in written:
            rows.append(page)
        assert rows.on_disk == (memory < 1 << 20)
        for _ in range(2):  # they may be gone through again
            read = list(rows.pages())
            assert [len(page.line) for page in read] == [5, 4, 7]
            assert np.concatenate([page.columns.number for page in read]).tolist() == list(range(16))
            for page, one in zip(read, [written[0], written[1], written[3]], strict=True):
                for got, put in zip(page.columns, one.columns, strict=True):
                    pairs = zip(got, put, strict=True) if isinstance(got, Features) else [(got, put)]
                    for one_array, other in pairs:
                        assert one_array.dtype == other.dtype
                        if other is not one.columns.number:
                            np.testing.assert_array_equal(one_array, other)
                np.testing.assert_array_equal(page.line, one.line)
                np.testing.assert_array_equal(page.segment, one.segment)
        assert len(rows) == 16
        assert len(rows.columns().kind) == 16


def test_what_is_yet_to_be_done_to_a_page_is_done_when_it_is_read() -> None:
    with Rows(memory=0) as rows:
        rows.append(page_of(5, 0, PROBLEMS[0]))
        rows.finish = lambda page: page._replace(columns=page.columns._replace(reward=2 * page.columns.reward))
        np.testing.assert_array_equal(rows.columns().reward, 2 * page_of(5, 0, PROBLEMS[0]).columns.reward)


def test_rows_of_no_page_are_no_rows() -> None:
    with Rows() as rows:
        rows.problem = PROBLEMS[1]
        assert len(rows) == 0
        assert rows.columns().context.shape == (0, 2)


MEASURE = """
import sys
from pathlib import Path
from onearm.engine.storage import rows, source
from onearm.engine.storage.formats import jsonl
from onearm.engine.storage.formats import parquet
from onearm.engine.storage.formats.parquet import file
from onearm.engine.storage.source import Source

def anonymous():
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) << 10

rows.MEMORY = 1 << 20
source.BLOCK_BYTES = 1 << 18  # some are read ahead, by threads: they are not what is measured
file.PAGE = 1 << 12

def read(path):
    peak, total, size = 0, 0.0, 0
    def sample(count):
        nonlocal peak
        peak = max(peak, anonymous())
    module = parquet if path.suffix == ".parquet" else jsonl
    with module.read_rows(Source(path, sample), rows.Wanted()) as found:
        for page in found.pages():
            total += page.columns.reward.sum()
            size += sum(array.nbytes for array in page.columns)
            sample(0)
        assert found.on_disk
    return peak, total, size

path = Path(sys.argv[1])
small, _, _ = read(path.with_name("small" + path.suffix))
large, total, size = read(path)
print(int(total), int(size), large - small)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is anonymous")
@pytest.mark.parametrize("form", every_run(["table.jsonl", "export.jsonl", "table.parquet"], ["table.jsonl"]))
def test_a_file_larger_than_the_memory_is_read_in_bounded_memory(tmp_path: Path, form: str) -> None:
    """A reader needs as much for the whole of it as for its first quarter."""
    write_log(tmp_path / form, 40_000)
    write_log(tmp_path / f"small{Path(form).suffix}", 6000)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / form)]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    total, size, grown = map(int, done.stdout.split())
    assert total == 40_000
    assert size > 20_000_000
    assert grown < size / 3, f"{grown >> 20} MB more than for a quarter, for rows of {size >> 20} MB"


def write_log(path: Path, n: int) -> None:
    context = [float(i) for i in range(64)]
    if path.suffix == ".parquet":
        lists = pa.FixedSizeListArray.from_arrays(pa.array(np.tile(context, n)), len(context))
        columns = {"action": np.ones(n, np.int64), "reward": np.ones(n), "propensity": np.full(n, 0.5)}
        pq.write_table(pa.table({**columns, "context": lists}), path, row_group_size=1 << 12)
    elif path.stem == "export":
        lines = [f'{{"onearm":1,"problem":{{"n_arms":3,"context_shape":[{len(context)}]}},"experiment":{{}}}}\n']
        decide = f'"action":1,"propensity":0.5,"context":{context}}}\n{{"kind":"learn","seq":2,"reward":1,"number":'
        lines += [f'{{"kind":"decide","seq":1,"number":{number},{decide}{number}}}\n' for number in range(n)]
        path.write_text("".join(lines))
    else:
        path.write_text(f'{{"action":1,"reward":1,"propensity":0.5,"context":{context}}}\n' * n)
