import errno
import os

import pytest

from entrannas_tf.training import files


def test_write_and_replace(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "τ = 5\n")
    assert path.read_bytes() == "τ = 5\n".encode()
    files.write_bytes(str(path), b"\x00\r\n")
    assert path.read_bytes() == b"\x00\r\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_files_are_as_readable_as_others(tmp_path):
    (tmp_path / "other").write_text("")
    files.write_text(tmp_path / "a", "")
    modes = {(tmp_path / name).stat().st_mode for name in ("a", "other")}
    assert len(modes) == 1


class FullDisk:
    """Stands for the module `os` where a disk is full at one call."""

    def __init__(self, call):
        self.call = call

    def __getattr__(self, name):
        if name == self.call:
            return self.fail
        return getattr(os, name)

    def fail(self, *unused):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: files.write_text(path, "new"),
        lambda path: files.append_line(path, "new"),
        lambda path: files.truncate_lines(path, 0),
    ],
)
def test_a_failed_write_leaves_what_was(monkeypatch, tmp_path, call, write):
    path = tmp_path / "a.txt"
    path.write_text("old\n")
    monkeypatch.setattr(files, "os", FullDisk(call))
    with pytest.raises(OSError) as caught:
        write(path)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_missing_directory_is_named(tmp_path):
    path = tmp_path / "nowhere" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught:
        files.write_text(path, "")
    assert caught.value.filename == str(path)


def test_lines_are_added_dropped_and_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for epoch in range(4):
        files.append_line(path, f'{{"epoch": {epoch}}}')
    assert path.read_text().count("\n") == 4
    files.truncate_lines(path, 9)
    assert [m["epoch"] for m in files.read_json_lines(path)] == [0, 1, 2, 3]
    files.truncate_lines(path, 2)
    assert path.read_text() == '{"epoch": 0}\n{"epoch": 1}\n'
    files.truncate_lines(path, 0)
    assert files.read_json_lines(path) == []


def test_lines_end_at_line_feeds_only(tmp_path):
    path = tmp_path / "a.jsonl"
    files.append_line(path, '"a\u2028b\r"')
    files.append_line(path, "1")
    assert path.read_bytes() == '"a\u2028b\r"\n1\n'.encode()
    files.truncate_lines(path, 1)
    assert path.read_bytes() == '"a\u2028b\r"\n'.encode()


def test_a_half_line_of_others_is_completed(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("1\n2")
    files.append_line(path, "3")
    assert files.read_json_lines(path) == [1, 2, 3]


def test_truncating_nothing_makes_nothing(tmp_path):
    files.truncate_lines(tmp_path / "a", 3)
    assert os.listdir(tmp_path) == []


def test_bad_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a":\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2, is not JSON"):
        files.read_json_lines(path)
    with pytest.raises(ValueError, match="expected one line to append; got 2"):
        files.append_line(path, "a\nb")
    with pytest.raises(ValueError, match="0 or more lines to keep; got -1"):
        files.truncate_lines(path, -1)
    with pytest.raises(FileNotFoundError):
        files.read_json_lines(tmp_path / "b.jsonl")


def test_leftovers_of_a_killed_writer_go(tmp_path):
    for name in ("a.json", "a.json.4711.tmp", "notes.tmp"):
        (tmp_path / name).write_text("x")
    files.remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["a.json", "notes.tmp"]
