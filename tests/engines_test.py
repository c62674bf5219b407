"""Work that is done here at first, then in processes."""

import os
import signal
import subprocess
import sys

import pytest

import tfds_imagecsv
from tfds_imagecsv import engines


def square_and_process(number):
    """Returns a number's square, and the process that found it."""
    return number * number, os.getpid()


def refuse_seven(number):
    """Fails for one number."""
    if number == 7:
        raise LookupError(f"{number} is refused")
    return number


def die(number):
    """Kills its process, as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2, None])
@pytest.mark.parametrize("patience", [0, 1000])
def test_results_come_in_the_order_of_the_items(workers, patience):
    """Whoever works them out."""
    results = engines.run(
        square_and_process, range(50), workers=workers, patience=patience
    )
    assert [square for square, _ in results] == [at * at for at in range(50)]


def test_work_that_is_quickly_done_starts_no_process():
    """All of it is done here."""
    results = engines.run(square_and_process, range(9), workers=2, patience=1000)
    assert {process for _, process in results} == {os.getpid()}


def test_work_that_takes_long_is_done_in_processes():
    """None of it is done here if there is no patience at all."""
    results = engines.run(square_and_process, range(9), workers=2, patience=0)
    assert os.getpid() not in {process for _, process in results}


def test_one_worker_is_this_process():
    """However long it takes."""
    results = engines.run(square_and_process, range(9), workers=1, patience=0)
    assert {process for _, process in results} == {os.getpid()}


def test_nothing_to_do():
    """There is no result."""
    assert list(engines.run(square_and_process, [], workers=2, patience=0)) == []


@pytest.mark.parametrize("patience", [0, 1000])
def test_an_error_of_the_function_is_raised(patience):
    """With its type and its words."""
    with pytest.raises(LookupError, match="7 is refused"):
        list(engines.run(refuse_seven, range(9), workers=2, patience=patience))


def test_a_worker_that_is_killed():
    """The message says what to do."""
    with pytest.raises(tfds_imagecsv.WorkerError) as raised:
        list(engines.run(die, range(9), workers=2, patience=0))
    assert str(raised.value) == (
        "A worker process was killed, most likely because memory ran out. Use fewer"
        " workers (2 here), or a lower max_pixels."
    )


def test_a_script_needs_no_guard(tmp_path):
    """Processes don't run the user's script again, as those of `spawn` would."""
    script = tmp_path / "script.py"
    script.write_text(
        "import math\n"
        "from tfds_imagecsv import engines\n"
        "print(list(engines.run(math.sqrt, [1, 4, 9], workers=2, patience=0)))\n"
    )
    done = subprocess.run(
        [sys.executable, script], check=False, capture_output=True, text=True
    )
    assert done.stdout == "[1.0, 2.0, 3.0]\n", done.stderr


def test_no_process_is_left():
    """Workers would hold their memory while the dataset is written."""
    results = list(engines.run(square_and_process, range(9), workers=2, patience=0))
    for process in {process for _, process in results}:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
