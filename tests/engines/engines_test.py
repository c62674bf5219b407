"""Work that starts here, and that other processes join."""

import collections
import concurrent.futures
import errno
import gc
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

import tfds_imagecsv
from tfds_imagecsv import exceptions
from tfds_imagecsv.engines import local
from tfds_imagecsv.images import image_table
from tfds_imagecsv.shards import write

HERE = os.getpid()


@pytest.fixture(autouse=True)
def not_forever():
    """Ends a test whose processes wait for each other in vain."""

    def give_up(*_):
        raise TimeoutError("processes wait for each other")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# The tasks of processes. Those that need two processes meet at a named pipe, since
# opening one end waits for the other.


def square_and_process(number):
    """Returns a number's square, and the process that found it."""
    return number * number, os.getpid()


def refuse_seven(number):
    """Fails for one number."""
    if number == 7:
        raise LookupError(f"{number} is refused")
    return number


def meet(end):
    """Opens an end of a pipe, which waits for the other; returns the process."""
    path, mode = end
    with pathlib.Path(path).open(mode):
        return os.getpid()


def meet_and_do(item):
    """Meets the other process, and does something if it isn't the first one."""
    end, here, deed = item
    process = meet(end)
    return process if process == here else deed()


def loop(_):
    """Never ends."""
    while True:
        pass


def die():
    """Kills its process, like the system when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    """Fails."""
    raise LookupError("a refusal")


def refuse():
    """Refuses a user's input."""
    raise exceptions.ImageCsvError("row 2: it is refused")


def give_function():
    """Returns a value that can't be pickled."""
    return lambda: 0


class OddError(Exception):
    """An error whose arguments it doesn't keep."""

    def __init__(self, kind, detail):
        super().__init__(detail)
        self.kind = kind


def fail_oddly():
    """Fails with an error that can't be copied."""
    raise OddError("kind", "an odd refusal")


def say():
    """Prints in both ways, and returns something."""
    print("by print", flush=True)
    os.write(1, b"by the system\n")
    print("at the end")
    return "said"


def modules():
    """Returns the names of all modules after the imports of workers."""
    assert image_table
    assert write
    return sorted(sys.modules)


def colorsys_is_there():
    """Returns whether the module has been imported."""
    return "colorsys" in sys.modules


def ends_of(pipe):
    """Makes a named pipe, and returns its two ends."""
    os.mkfifo(pipe)
    return [(pipe, "rb"), (pipe, "wb")]


@pytest.fixture
def ends(tmp_path):
    """The two ends of a named pipe."""
    return ends_of(tmp_path / "pipe")


def do_elsewhere(engine, ends, deed):
    """Returns what a function returns in another process."""
    found = engine.map(meet_and_do, [(end, HERE, deed) for end in ends])
    (result,) = (one for one in found if one != HERE)
    return result


def is_there(process):
    """Returns whether there is such a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


# Who works


@pytest.mark.parametrize("workers", [1, 2, 3, None])
@pytest.mark.parametrize("patience", [0, 1000])
def test_results_come_in_the_order_of_the_items(workers, patience):
    """Whichever process computes them."""
    with local.LocalEngine(workers, patience=patience) as engine:
        results = list(engine.map(square_and_process, range(50)))
    assert [square for square, _ in results] == [at * at for at in range(50)]


@pytest.mark.parametrize(
    ("items", "workers", "patience"),
    [
        pytest.param(range(9), 2, 1000, id="quickly done"),
        pytest.param(range(9), 1, 0, id="one worker"),
        pytest.param(range(1), 2, 0, id="one item"),
        pytest.param(range(0), 2, 0, id="nothing"),
    ],
)
def test_no_process_is_started(items, workers, patience, monkeypatch):
    """If it wouldn't help, all is done here."""
    monkeypatch.setattr(subprocess, "Popen", None)
    with local.LocalEngine(workers, patience=patience) as engine:
        results = list(engine.map(square_and_process, items))
    assert results == [(at * at, HERE) for at in items]


def test_as_many_processes_as_cores():
    """Unless the user asks for another number."""
    assert local.LocalEngine().workers == local.cores()
    assert local.LocalEngine(7).workers == 7


def test_this_process_works_as_well(ends):
    """Two workers are this process and another one."""
    with local.LocalEngine(2, patience=0) as engine:
        found = set(engine.map(meet, ends))
    assert len(found) == 2
    assert HERE in found


def test_all_work_of_an_engine_is_done_by_the_same_processes(ends):
    """They start once."""
    with local.LocalEngine(2, patience=0) as engine:
        first, second = set(engine.map(meet, ends)), set(engine.map(meet, ends))
    assert first == second


def test_processes_that_are_there_do_not_wait_for_patience(ends):
    """They share the next work from its beginning."""
    with local.LocalEngine(2, patience=0) as engine:
        first = set(engine.map(meet, ends))
        engine._patience = 1000
        assert set(engine.map(meet, ends)) == first


def test_a_worker_imports_little(ends):
    """Neither TensorFlow nor pandas, which take long to start."""
    with local.LocalEngine(2, patience=0) as engine:
        found = do_elsewhere(engine, ends, modules)
    heavy = {"etils", "pandas", "scipy", "tensorflow", "tensorflow_datasets"}
    assert "tfds_imagecsv.shards" in found
    assert heavy.isdisjoint(found)


def test_what_a_worker_will_need_is_imported_before(ends):
    """If there is one."""
    with local.LocalEngine(2, patience=0) as engine:
        engine.preload("colorsys")
        assert engine._pool is None
        engine.expect_work()
        engine.preload("colorsys")
        engine.preload("no.such.module")  # code that needs it gets the error
        assert do_elsewhere(engine, ends, colorsys_is_there)


def test_a_folder_with_modules_of_the_same_names(ends, tmp_path, monkeypatch):
    """Files in the current folder don't pass for Python's own modules."""
    (tmp_path / "pickle.py").write_text("raise ImportError('not this one')")
    monkeypatch.chdir(tmp_path)
    with local.LocalEngine(2, patience=0) as engine:
        assert len(set(engine.map(meet, ends))) == 2


def test_what_a_function_prints_is_no_answer(ends, capfd, monkeypatch):
    """It goes where errors go."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with local.LocalEngine(2, patience=0) as engine:
        assert do_elsewhere(engine, ends, say) == "said"
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err == "by print\nby the system\nat the end\n"


# What goes wrong


@pytest.mark.parametrize("patience", [0, 1000])
def test_an_error_of_the_function_is_raised(patience):
    """With its type and its words, after the results before it."""
    with local.LocalEngine(2, patience=patience) as engine:
        results = engine.map(refuse_seven, range(9))
        assert [next(results) for _ in range(7)] == [*range(7)]
        with pytest.raises(LookupError, match="7 is refused"):
            next(results)


def test_an_error_waits_for_its_turn():
    """The raised one doesn't depend on which process was quicker."""
    elsewhere, nowhere = concurrent.futures.Future(), concurrent.futures.Future()
    elsewhere.set_running_or_notify_cancel()
    waiting = collections.deque([(elsewhere, 6), (nowhere, 7)])
    assert local._take_over(refuse_seven, waiting)
    assert [future.done() for future, _ in waiting] == [False, True]
    with pytest.raises(LookupError, match="7 is refused"):
        waiting[1][0].result()


def test_an_error_elsewhere_has_its_stack_trace(ends):
    """As a note, since the trace itself stays in its process."""
    with (
        pytest.raises(LookupError, match="a refusal") as raised,
        local.LocalEngine(2, patience=0) as engine,
    ):
        do_elsewhere(engine, ends, fail)
    (note,) = raised.value.__notes__
    assert "engines_test.py" in note
    assert "in fail" in note


def test_an_error_of_the_user_has_no_stack_trace(ends):
    """It stands alone, whichever process found it."""
    with (
        pytest.raises(tfds_imagecsv.ImageCsvError, match="row 2") as raised,
        local.LocalEngine(2, patience=0) as engine,
    ):
        do_elsewhere(engine, ends, refuse)
    assert not hasattr(raised.value, "__notes__")


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (give_function, "give_function.<locals>.<lambda>"),
        (fail_oddly, "OddError('an odd refusal')"),
    ],
)
def test_what_cannot_be_handed_over(ends, deed, words):
    """The error shows it, and the next answers are right."""
    with local.LocalEngine(2, patience=0) as engine:
        with pytest.raises(RuntimeError) as raised:
            do_elsewhere(engine, ends, deed)
        assert words in str(raised.value)
        found = set(engine.map(meet, ends))
        assert len(found) == 2


class Stuck(tuple):
    """A value that can't be pickled."""

    def __reduce__(self):
        """Refuses."""
        raise LookupError("it is stuck")


def test_an_item_that_cannot_be_handed_over(ends, tmp_path):
    """It is an error of its own, and the next answers are right."""
    with local.LocalEngine(2, patience=0) as engine:
        # This process waits for the other one, which first tries the second item.
        results = engine.map(meet, [ends[0], Stuck(("x" * 100_000, "rb")), ends[1]])
        assert next(results)
        with pytest.raises((LookupError, OSError)):
            next(results)
        # The other process may still hold its end of the first pipe.
        again = ends_of(tmp_path / "again")
        assert len(set(engine.map(meet, again))) == 2


class Unwritten:
    """A value whose pickle would go to a full disk."""

    def __init__(self):
        self.is_tried = threading.Event()

    def __reduce__(self):
        """Fails like the system."""
        self.is_tried.set()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_item_that_finds_no_room():
    """The other process isn't blamed."""
    item = Unwritten()
    with (
        pytest.raises(OSError, match="No space left"),
        local.LocalEngine(2, patience=0) as engine,
    ):
        list(engine.map(id, [item, item], meanwhile=item.is_tried.wait))


def test_a_worker_that_is_killed(ends):
    """The message says what to do."""
    with (
        pytest.raises(tfds_imagecsv.WorkerError) as raised,
        local.LocalEngine(2, patience=0) as engine,
    ):
        do_elsewhere(engine, ends, die)
    assert str(raised.value) == (
        "A worker process was killed, most likely because memory ran out. Use fewer"
        " workers (2 here), or a lower max_pixels."
    )


# The end


def test_no_process_is_left(ends):
    """Workers would hold their memory while other work is done."""
    with local.LocalEngine(2, patience=0) as engine:
        processes = set(engine.map(meet, ends)) - {HERE}
        assert all(map(is_there, processes))
    assert len(processes) == 1
    assert not any(map(is_there, processes))


def test_no_process_is_left_after_an_error(ends):
    """Whatever the process was doing."""
    processes = set()

    def work_and_fail():
        with local.LocalEngine(3, patience=0) as engine:
            processes.update(engine.map(meet, ends))
            list(engine.map(refuse_seven, range(1000)))

    with pytest.raises(LookupError):
        work_and_fail()
    processes.discard(HERE)
    assert processes
    assert not any(map(is_there, processes))


def test_no_process_is_left_after_half_of_the_results(ends):
    """It doesn't wait for the other results, except those in progress."""
    with local.LocalEngine(3, patience=0) as engine:
        processes = set(engine.map(meet, ends)) - {HERE}
        results = engine.map(square_and_process, range(1000))
        assert next(results)[0] == 0
    assert processes
    assert not any(map(is_there, processes))


def test_nothing_is_left_open(ends, recwarn):
    """Python warns of pipes that nobody closes."""
    with local.LocalEngine(3, patience=0) as engine:
        list(engine.map(meet, ends))
    del engine
    gc.collect()
    assert [one for one in recwarn if one.category is ResourceWarning] == []


# Scripts

SCRIPT = """
import os, signal
from engines import engines_test
from tfds_imagecsv import exceptions
from tfds_imagecsv.engines import local
# Background jobs of a shell ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
print("begun", flush=True)
ends = [("pipe", "rb"), ("pipe", "wb")]
with local.LocalEngine(2, patience=0) as engine:
    found = set(engine.map(engines_test.meet, ends))
    print(len(found), flush=True)
"""


def start(tmp_path, more=""):
    """Starts a script in which two processes meet before it goes on."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + textwrap.indent(textwrap.dedent(more), "    "))
    tests = str(pathlib.Path(__file__).parents[1])
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), tests])
    return subprocess.Popen(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_script_needs_no_guard(ends, tmp_path):
    """Unlike those of `spawn`, processes don't run the user's script again."""
    script = start(tmp_path)
    assert script.communicate() == ("begun\n2\n", "")


def test_workers_end_when_their_script_is_killed(ends, tmp_path):
    """They close the pipe for errors, and write nothing into it."""
    script = start(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert script.communicate() == ("begun\n2\n", "")
    assert script.returncode == -signal.SIGKILL


def test_a_worker_that_is_busy_when_its_script_is_killed(ends, tmp_path):
    """It ends silently when it is done."""
    os.mkfifo(tmp_path / "busy")
    script = start(
        tmp_path,
        """
        busy = [("busy", "rb"), ("busy", "rb")]
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        list(engine.map(engines_test.meet, busy))
        """,
    )
    script.wait()
    assert script.returncode == -signal.SIGALRM
    # Open for both, so that this doesn't wait for the worker, nor the worker for this.
    pipe = os.open(tmp_path / "busy", os.O_RDWR)
    assert script.communicate() == ("begun\n2\n", "")
    os.close(pipe)


def test_a_script_that_is_interrupted(ends, tmp_path):
    """The workers, also interrupted, end at once and silently."""
    script = start(tmp_path, "list(engine.map(engines_test.loop, range(2)))")
    assert script.stdout.readline() + script.stdout.readline() == "begun\n2\n"
    os.killpg(script.pid, signal.SIGINT)
    _, errors = script.communicate()
    assert errors.count("Traceback") == 1
    assert errors.endswith("KeyboardInterrupt\n")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("items", [0, 1, 9])
def test_what_is_to_be_done_meanwhile_is_done_once(workers, items):
    """With or without other workers, for any number of requested results."""
    calls = []
    with local.LocalEngine(workers, patience=0) as engine:
        results = engine.map(abs, range(items), lambda: calls.append("called"))
        # It requests no more results than there are.
        found = [next(results) for _ in range(items)] if items else list(results)
    assert found == list(range(items))
    assert calls == ["called"]
