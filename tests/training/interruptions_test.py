import os
import signal
import threading

import pytest

from entrannas_tf.training import interruptions


def test_sigterm_is_noted_and_ends_nothing():
    before = signal.getsignal(signal.SIGTERM)
    with interruptions.watch():
        assert not interruptions.is_due()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruptions.is_due()
    with interruptions.watch():
        pass  # It leaves nothing to the tests that follow.
    assert signal.getsignal(signal.SIGTERM) is before


def test_each_watch_begins_anew():
    with interruptions.watch():
        os.kill(os.getpid(), signal.SIGTERM)
    with interruptions.watch():
        assert not interruptions.is_due()


def test_what_came_too_late_for_one_run_ends_those_that_follow():
    with interruptions.watch():
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(interruptions.Preempted):
        interruptions.check()
    interruptions.check()  # It is said once.


def test_a_run_that_was_ended_has_said_so():
    with pytest.raises(interruptions.Preempted), interruptions.watch():
        os.kill(os.getpid(), signal.SIGTERM)
        raise interruptions.Preempted
    interruptions.check()


def test_another_thread_may_watch_too():
    seen = []

    def work():
        with interruptions.watch():
            seen.append(interruptions.is_due())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
