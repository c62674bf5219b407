"""Rows that several processes work on."""

import concurrent.futures
import pickle
import sys
import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import arrays
from tfds_imagecsv.engines import shared_rows

COUNT = 23


def doubled(rows):
    """Returns rows with twice their numbers."""
    return arrays.with_columns(rows, {"twice": rows["number"].to_numpy() * 2})


def rows_of(count):
    """Returns rows with a number and a text."""
    return pa.record_batch(
        {
            "number": np.arange(count),
            "text": arrays.encoded([f"{at % 3}" for at in range(count)]),
        }
    )


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Files whose batches have few rows."""
    monkeypatch.setattr(shared_rows, "_BATCH", 5)


@given(st.permutations(range(COUNT)), st.data())
def test_another_process_sees_the_same_rows(order, data):
    """In order, prepared, from any batches of the file."""
    start = data.draw(st.integers(0, COUNT))
    stop = data.draw(st.integers(start, COUNT))
    for positions in (None, np.array(order)):
        numbers = list(range(COUNT)) if positions is None else order
        with shared_rows.SharedRows(rows_of(COUNT), positions, doubled) as rows:
            here = rows.slice(start, stop)
            there = pickle.loads(pickle.dumps(here))
            assert here.lists() == there.lists() == dict(here) == dict(there)
            assert here.count == there.count == stop - start
            assert list(here["number"]) == numbers[start:stop]
            assert here["twice"] == [2 * number for number in numbers[start:stop]]
            assert here["text"] == [f"{number % 3}" for number in numbers[start:stop]]


def test_a_file_is_written_once_and_removed(tmp_path):
    """It is only written if another process needs it."""
    with shared_rows.SharedRows(rows_of(3), folder=str(tmp_path / "work")) as rows:
        assert rows.slice(0, 2)["number"] == [0, 1]
        assert not (tmp_path / "work").exists()
        paths = {rows.path(), rows.path()}
        assert len(list((tmp_path / "work").glob("*/rows.arrow"))) == len(paths) == 1
        assert len(pickle.dumps(rows.slice(0, 2))) < 1000
    assert list((tmp_path / "work").iterdir()) == []


def test_a_file_that_many_threads_ask_for(tmp_path):
    """It is written once."""
    rows = pa.record_batch({"key": list(map(str, range(100_000)))})
    together = threading.Barrier(8)
    with shared_rows.SharedRows(rows, folder=str(tmp_path)) as shared:

        def ask(_):
            together.wait()
            return shared.path()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            (path,) = set(pool.map(ask, range(8)))
        assert [str(file) for file in tmp_path.glob("*/*")] == [path]


def test_values_are_not_kept():
    """A slice lives as long as its rows; Python objects would take far more."""
    with shared_rows.SharedRows(rows_of(1000)) as rows:
        part = rows.slice(0, 1000)
        before = sys.getsizeof(pickle.dumps(part.__dict__ | {"_rows": None}))
        assert part.lists()["number"] == part["number"] == list(range(1000))
        after = sys.getsizeof(pickle.dumps(part.__dict__ | {"_rows": None}))
    assert after == before
