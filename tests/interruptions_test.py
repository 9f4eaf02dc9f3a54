import os
import signal
import threading

from entrannas_tf import interruptions


def test_sigterm_is_noted_and_ends_nothing():
    before = signal.getsignal(signal.SIGTERM)
    with interruptions.watch():
        assert not interruptions.is_due()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruptions.is_due()
    assert signal.getsignal(signal.SIGTERM) is before


def test_each_watch_begins_anew():
    with interruptions.watch():
        os.kill(os.getpid(), signal.SIGTERM)
    with interruptions.watch():
        assert not interruptions.is_due()


def test_another_thread_may_watch_too():
    seen = []

    def work():
        with interruptions.watch():
            seen.append(interruptions.is_due())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
