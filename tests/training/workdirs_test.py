import dataclasses
import errno
import fcntl
import json
import os

import pytest

from configs import digits
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.training import files, workdirs

CONFIG = schema.read(search_config.Config, digits.get_config())
OTHER = dataclasses.replace(
    CONFIG,
    seed=7,
    search=dataclasses.replace(CONFIG.search, weight_decay=0.5),
)


def test_make_and_come_back(tmp_path):
    workdir = tmp_path / "runs" / "a"
    assert workdirs.check_workdir(workdir, CONFIG) is False
    assert os.listdir(tmp_path) == []
    assert workdirs.make_workdir(workdir, CONFIG) is False
    assert os.listdir(workdir) == ["config.json"]
    before = (workdir / "config.json").stat()
    assert workdirs.check_workdir(workdir, CONFIG) is True
    assert workdirs.make_workdir(workdir, CONFIG) is True
    after = (workdir / "config.json").stat()
    assert after.st_ino == before.st_ino
    assert workdirs.read_config(workdir) == CONFIG


def test_a_second_process_is_kept_out(tmp_path):
    workdirs.make_workdir(tmp_path, CONFIG)
    with workdirs.locked(tmp_path):
        again = workdirs.locked(tmp_path)
        with pytest.raises(BlockingIOError, match="another process") as caught:
            again.__enter__()
        assert caught.value.filename == str(tmp_path)
    with workdirs.locked(tmp_path):
        pass


def test_what_is_locked_is_open_for_writing(tmp_path, monkeypatch):
    """Else NFS, which several machines share, refuses."""
    writable = []
    monkeypatch.setattr(
        fcntl, "flock", lambda file, how: writable.append(file.writable())
    )
    workdirs.make_workdir(tmp_path, CONFIG)
    with workdirs.locked(tmp_path):
        assert writable == [True]


@pytest.mark.parametrize("use", [workdirs.check_workdir, workdirs.make_workdir])
def test_another_configuration_is_refused(tmp_path, use):
    workdirs.make_workdir(tmp_path, CONFIG)
    text = (tmp_path / "config.json").read_text()
    with pytest.raises(ValueError) as caught:
        use(tmp_path, OTHER)
    assert str(caught.value) == (
        f"{tmp_path} holds a run of another configuration: seed is 0 there "
        "and 7 here; search.weight_decay is 0.0003 there and 0.5 here. Choose "
        "another --workdir, or go back to that configuration to resume it."
    )
    assert (tmp_path / "config.json").read_text() == text


def test_fields_of_another_version_are_named(tmp_path):
    values = dataclasses.asdict(CONFIG)
    del values["search"]["max_graphs"]
    values["data"]["mixup"] = 0.5
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError) as caught:
        workdirs.check_workdir(tmp_path, CONFIG)
    assert "search.max_graphs is absent there and 256 here" in str(caught.value)
    assert "data.mixup is 0.5 there and absent here" in str(caught.value)


def test_a_field_that_came_later_has_its_default(tmp_path):
    values = dataclasses.asdict(CONFIG)
    del values["search"]["max_graphs"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert workdirs.check_workdir(tmp_path, CONFIG) is True
    search = dataclasses.replace(CONFIG.search, max_graphs=7)
    with pytest.raises(ValueError, match=r"max_graphs is 256 there and 7 here"):
        workdirs.check_workdir(
            tmp_path, dataclasses.replace(CONFIG, search=search)
        )


@pytest.mark.parametrize("text", ["{", "[]", b"\xff"])
def test_a_config_file_that_is_none(tmp_path, text):
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "config.json").write_bytes(data)
    for use in (
        lambda: workdirs.make_workdir(tmp_path, CONFIG),
        lambda: workdirs.read_config(tmp_path),
    ):
        with pytest.raises(ValueError, match="is not a configuration") as error:
            use()
        assert "\n" not in str(error.value)
    assert (tmp_path / "config.json").read_bytes() == data


def test_read_config_names_the_file(tmp_path):
    (tmp_path / "config.json").write_text('{"nme": "a"}')
    with pytest.raises(ValueError, match=r"config\.json: Unknown field nme"):
        workdirs.read_config(tmp_path)
    with pytest.raises(FileNotFoundError):
        workdirs.read_config(tmp_path / "nowhere")


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "a").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in ("a", "a/b/c", "link"):
        with pytest.raises(NotADirectoryError, match="another --workdir"):
            workdirs.make_workdir(tmp_path / path, CONFIG)
    assert (tmp_path / "a").read_text() == "kept"
    with pytest.raises(ValueError, match="workdir is empty"):
        workdirs.make_workdir("", CONFIG)


def test_an_unwritable_workdir(monkeypatch, tmp_path):
    """By what the system says, for a superuser may write anywhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for path in (tmp_path, tmp_path / "a" / "b"):
        with pytest.raises(PermissionError, match="cannot be written"):
            workdirs.make_workdir(path, CONFIG)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_no_workdir(monkeypatch, tmp_path):
    def refuse(path, text):
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(files, "write_text", refuse)
    with pytest.raises(OSError, match="No space left"):
        workdirs.make_workdir(tmp_path / "runs" / "a", CONFIG)
    assert os.listdir(tmp_path) == []
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError, match="No space left"):
        workdirs.make_workdir(tmp_path / "there", CONFIG)
    assert os.listdir(tmp_path) == ["there"]


def test_what_stands_in_a_workdir_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    workdirs.make_workdir(tmp_path, CONFIG)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_several_values_come_back(tmp_path):
    """JSON knows lists and no tuples."""
    stages = search_config.ProgressiveConfig(
        num_cells=(3, 4), num_primitives=(8, 5), skip_dropout_rates=(0.0, 0.4)
    )
    config = dataclasses.replace(CONFIG, progressive=stages)
    workdirs.make_workdir(tmp_path, config)
    assert workdirs.check_workdir(tmp_path, config) is True
    with pytest.raises(
        ValueError, match=r"progressive.num_cells is \(3, 4\) there and \(\) h"
    ):
        workdirs.check_workdir(tmp_path, CONFIG)
