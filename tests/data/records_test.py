"""Tests of records by number, on files that TensorFlow writes."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import records


def _example(image, *labels):
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=labels)),
    }
    features = tf.train.Features(feature=feature)
    return tf.train.Example(features=features).SerializeToString()


def _image(number):
    return b"\xff\xd8" + bytes([number]) * (100 + 7 * number)


def _write(path, contents):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)
    return path


@pytest.fixture
def paths(tmp_path):
    """Three files of 3, 0 and 2 records."""
    paths, number = [], 0
    for count in (3, 0, 2):
        numbers = range(number, number + count)
        contents = [_example(_image(i), i) for i in numbers]
        paths.append(_write(tmp_path / f"shard_{len(paths)}", contents))
        number += count
    return paths


def test_records_are_read_in_any_order(paths):
    made = records.Records(paths, [3, 0, 2])
    assert made.num_records == 5
    chosen = np.array([4, 0, 3, 4, 2])
    images, labels = made.read(chosen)
    assert images.tolist() == [_image(i) for i in chosen]
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, chosen)


def test_more_records_than_threads(tmp_path):
    contents = [_example(_image(i), i) for i in range(100)]
    made = records.Records([_write(tmp_path / "shard", contents)], [100])
    images, labels = made.read(np.arange(99, -1, -1))
    np.testing.assert_array_equal(labels, np.arange(99, -1, -1))
    assert images[0] == _image(99)


@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_records_is_refused(paths, count):
    message = rf"shard_0 holds 3 records; expected {count}, as dataset_info"
    with pytest.raises(ValueError, match=message):
        records.Records(paths, [count, 0, 2])


@pytest.mark.parametrize("size", [5, 40])
def test_a_file_cut_short_is_named(paths, size):
    paths[2].write_bytes(paths[2].read_bytes()[:size])
    message = rf"shard_2 is broken: .* byte 0 .* which has {size} bytes\."
    with pytest.raises(ValueError, match=message):
        records.Records(paths, [3, 0, 2])


def test_a_file_that_is_no_tfrecord_is_named(tmp_path):
    (tmp_path / "shard").write_bytes(b"What is this? " * 20)
    with pytest.raises(ValueError, match="shard is broken: the record at by"):
        records.Records([tmp_path / "shard"], [1])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xff\xff\xff", "Error parsing message"),
        (_example(_image(1)), "1 images and 0 labels"),
        (_example(b"GIF89a", 1), "the image is no JPEG file"),
    ],
    ids=["no Example", "no label", "no JPEG"],
)
def test_a_broken_record_is_named(tmp_path, content, reason):
    path = _write(tmp_path / "shard", [_example(_image(0), 0), content])
    made = records.Records([path], [2])
    assert made.read(np.array([0]))[1].tolist() == [0]
    with pytest.raises(ValueError) as caught:
        made.read(np.array([0, 1]))
    message = str(caught.value)
    start = len(_example(_image(0), 0)) + 16
    assert message.startswith("1 image(s) cannot be decoded: ")
    assert f"{path}, bytes {start} to {start + len(content) + 16}" in message
    assert reason in message


def test_a_file_that_changes_afterwards_is_named(paths):
    made = records.Records(paths, [3, 0, 2])
    whole = paths[0].read_bytes()
    for changed in (whole[:-1], whole[1:] + b"\0"):
        paths[0].write_bytes(changed)
        with pytest.raises(ValueError, match="not the length that it had"):
            made.read(np.arange(3))
