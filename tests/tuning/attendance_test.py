import threading

import pytest

from entrannas_tf.tuning import attendance


def test_who_is_silent():
    made = attendance.Attendance(10)
    now = [100.0]
    made.clock = lambda: now[0]
    assert made.is_silent("a")
    made.hear("a")
    now[0] = 109.9
    assert not made.is_silent("a")
    now[0] = 110.0
    assert made.is_silent("a")
    made.hear("a")
    assert not made.is_silent("a")


def test_a_timeout_must_be_positive():
    with pytest.raises(ValueError, match=r"timeout_seconds is 0; expected mor"):
        attendance.Attendance(0)


@pytest.mark.parametrize(
    ("tuner_id", "roles"),
    [("chief", (True, False)), ("worker1", (False, True)), (None, (0, 0))],
)
def test_roles(monkeypatch, tuner_id, roles):
    for name in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID"):
        monkeypatch.delenv(f"KERASTUNER_{name}", raising=False)
    if tuner_id:
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
        monkeypatch.setenv("KERASTUNER_TUNER_ID", tuner_id)
    assert (attendance.is_chief(), attendance.is_worker()) == roles


@pytest.mark.parametrize("role", [attendance.is_chief, attendance.is_worker])
@pytest.mark.parametrize("missing", ["ORACLE_PORT", "TUNER_ID"])
def test_half_an_environment(monkeypatch, role, missing):
    for name in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID"):
        if name != missing:
            monkeypatch.setenv(f"KERASTUNER_{name}", "1")
    with pytest.raises(
        ValueError,
        match=rf"^KERASTUNER_ORACLE_IP is set and KERASTUNER_{missing} is not;",
    ):
        role()


def test_beats_while_the_body_runs_and_in_spite_of_errors():
    beaten, many = [], threading.Event()

    def beat():
        beaten.append(threading.current_thread())
        if len(beaten) == 3:
            many.set()
        raise RuntimeError("The chief does not answer.")

    with attendance.beating(beat, seconds=0.001):
        assert many.wait(timeout=60)
    (thread,) = set(beaten)
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_no_beat_is_owed_to_a_short_body():
    beaten = []
    with attendance.beating(lambda: beaten.append(1), seconds=3600):
        pass
    assert not beaten
