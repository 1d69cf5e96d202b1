"""Checks as `run` counts them: a line `ok NAME` or `FAILED NAME: WHY` each."""
import sys
import time
from contextlib import contextmanager

failed = 0


@contextmanager
def check(name):
    """One promise; whatever is raised in it breaks it."""
    global failed
    try:
        yield
    except Exception as why:
        failed += 1
        print(f"FAILED {name}: {type(why).__name__}: {' '.join(str(why).split())}", flush=True)
    else:
        print(f"ok {name}", flush=True)


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def raises(kind, act):
    """The exception of this kind that `act` must end with."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} came")


def eventually(look, seconds=20):
    """The first value of `look` that is true; fails when none comes in time."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s")
        time.sleep(0.2)


def finish():
    sys.exit(1 if failed else 0)
