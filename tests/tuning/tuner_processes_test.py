"""The tuner as the chief or a worker of several processes, in this one."""

import grpc
import pytest
from keras_tuner.src.distribute import oracle_client

from entrannas_tf.architecture import genotypes
from entrannas_tf.training import interruptions
from tests.support import played_tuner, tune_workers, workers


@pytest.fixture(autouse=True)
def played(monkeypatch):
    return played_tuner.stand_in(monkeypatch)


def test_chief_and_single_process_go_on_from_each_other(
    tmp_path, monkeypatch, played
):
    played_tuner.make(tmp_path).search(verbose=0)
    with monkeypatch.context() as patch:
        tune_workers.be_one_of_several(patch, "chief")
        chief = played_tuner.make(tmp_path)
        assert chief.oracle.has_ended()
        chief.save()
    alone = played_tuner.make(tmp_path)
    assert alone.get_best_genotypes() == [genotypes.draw(0)]
    alone.search(verbose=0)
    assert len(played) == 13


def test_half_an_environment_removes_nothing(tmp_path, monkeypatch):
    played_tuner.make(tmp_path).save()
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(ValueError, match=r"KERASTUNER_ORACLE_PORT is not; set"):
        played_tuner.make(tmp_path, overwrite=True)
    assert (tmp_path / "project" / "tuner.json").exists()


def test_a_worker_without_a_chief(tmp_path, monkeypatch, caplog):
    (port,) = workers.free_ports(1)
    tune_workers.be_one_of_several(monkeypatch, "worker1", port)
    monkeypatch.setattr(oracle_client, "TIMEOUT", 0.1)
    made = played_tuner.make(tmp_path)
    with (
        caplog.at_level("INFO", logger="absl"),
        pytest.raises(
            interruptions.WorkerLost,
            match=rf"The chief at 127.0.0.1:{port} does not answer \(",
        ),
    ):
        made.search()
    assert f"Waits for the chief at 127.0.0.1:{port}." in caplog.messages


class Unheard(grpc.RpcError):
    """What a call of the chief ends with.

    Args:
        status: A `grpc.StatusCode`.
    """

    def __init__(self, status):
        super().__init__()
        self._status = status

    def code(self):
        return self._status

    def details(self):
        return "as it is"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("UNAVAILABLE", r"does not answer \(UNAVAILABLE: as it is\). Start it"),
        ("UNKNOWN", r"failed \(UNKNOWN: as it is\). See what it says; then"),
    ],
)
def test_a_chief_that_is_gone_when_a_trial_ends(
    tmp_path, monkeypatch, status, message
):
    """The trial has not failed: nothing says so to the chief."""

    def get_trial(trial_id):
        raise Unheard(grpc.StatusCode[status])

    trial = played_tuner.make(tmp_path).oracle.create_trial("worker1")
    tune_workers.be_one_of_several(monkeypatch, "worker1")
    worker, ended = played_tuner.make(tmp_path), []
    monkeypatch.setattr(worker.oracle, "get_space", lambda: None)
    monkeypatch.setattr(worker.oracle, "create_trial", lambda _: trial)
    monkeypatch.setattr(worker.oracle, "get_trial", get_trial)
    monkeypatch.setattr(worker.oracle, "end_trial", ended.append)
    with pytest.raises(interruptions.WorkerLost, match=message):
        worker.search()
    assert not ended


def test_a_worker_overwrites_nothing(tmp_path, monkeypatch):
    played_tuner.make(tmp_path).save()
    tune_workers.be_one_of_several(monkeypatch, "worker1")
    played_tuner.make(tmp_path, overwrite=True)
    assert (tmp_path / "project" / "tuner.json").exists()


def test_a_worker_of_another_configuration_is_refused(tmp_path, monkeypatch):
    played_tuner.make(tmp_path).save()
    tune_workers.be_one_of_several(monkeypatch, "worker1")
    worker = played_tuner.make(tmp_path, [("search.epochs", 3)])
    monkeypatch.setattr(worker.oracle, "get_space", lambda: None)
    with pytest.raises(ValueError, match=r"search.epochs is 2 there and 3 her"):
        worker.search()
