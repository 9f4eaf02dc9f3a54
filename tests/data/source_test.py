"""Tests of in-memory sources, the digits and CIFAR-10."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import cifar10, digits, source


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (2500, 4, 5, 3), dtype=np.uint8)


def test_fetch_returns_the_images_asked_for_in_graphs_too(images):
    labels = np.arange(2500) % 2
    made = source.from_arrays("x", images, labels, ("a", "b"))
    indices = tf.constant([7, 0, 7, 2499], tf.int64)
    for fetch in (made.fetch, tf.function(made.fetch)):
        fetched, found = fetch(indices)
        np.testing.assert_array_equal(fetched, images[[7, 0, 7, -1]])
        np.testing.assert_array_equal(found, [1, 0, 1, 1])
        assert found.dtype == tf.int32
    assert made.image_shape == (4, 5, 3)
    assert (made.num_classes, made.num_examples) == (2, 2500)
    assert made.labels.dtype == np.int32


def test_graphs_capture_the_images_by_reference(images):
    made = source.from_arrays("x", images, np.zeros(2500, int), ("a",))
    graph = tf.function(made.fetch).get_concrete_function(
        tf.TensorSpec([2], tf.int64)
    )
    assert graph.graph.as_graph_def().ByteSize() < 10_000 < images.nbytes


def test_statistics_are_those_of_numpy(images):
    mean, std = source.statistics(images)
    scaled = images / 255.0
    np.testing.assert_allclose(mean, scaled.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, scaled.std((0, 1, 2)), rtol=1e-6)


def test_a_constant_channel_has_a_positive_deviation():
    _, std = source.statistics(np.full((2, 3, 3, 1), 255, np.uint8))
    assert std[0] > 0


@pytest.mark.parametrize(
    ("dtype", "labels", "message"),
    [
        (np.float32, [0, 1], r"float32 \[2, 4, 4, 1\]; expected uint8"),
        (np.uint8, [0, 1, 1], r"2 images came with labels of shape \[3\]"),
        (np.uint8, [0, 2], r"lie in 0..2; expected 0..1 for 2 classes"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(dtype, labels, message):
    with pytest.raises(ValueError, match=message):
        source.from_arrays(
            "x", np.zeros((2, 4, 4, 1), dtype), labels, ("a", "b")
        )


def test_digits_are_split_evenly_and_always_alike():
    train, test = digits.load()
    assert (train.num_examples, test.num_examples) == (1437, 360)
    assert train.image_shape == test.image_shape == (16, 16, 1)
    assert np.ptp(np.bincount(test.labels)) <= 3
    assert train.label_names == tuple("0123456789")
    images = train.fetch(tf.range(1437, dtype=tf.int64))[0].numpy()
    assert (images.min(), images.max()) == (0, 255)
    np.testing.assert_array_equal(images[:, ::2, ::2], images[:, 1::2, 1::2])
    np.testing.assert_allclose(train.mean, images.mean() / 255, rtol=1e-5)
    np.testing.assert_array_equal(digits.load()[1].labels, test.labels)
    held = {image.tobytes() for image in images}
    others = test.fetch(tf.range(360, dtype=tf.int64))[0].numpy()
    assert not any(image.tobytes() in held for image in others)


def test_cifar10_has_the_official_images(shared_data):
    train, test = cifar10.load(shared_data / "tfds", num_examples=2000)
    assert (train.num_examples, test.num_examples) == (2000, 10_000)
    assert train.image_shape == (32, 32, 3)
    assert train.label_names[0] == "airplane"
    assert train.num_classes == 10
    images = train.fetch(tf.range(2000, dtype=tf.int64))[0].numpy()
    mean, std = source.statistics(images)
    np.testing.assert_allclose(mean, train.mean, atol=0.01)
    np.testing.assert_allclose(std, train.std, atol=0.01)
    fewer, _ = cifar10.load(shared_data / "tfds", num_examples=3)
    np.testing.assert_array_equal(fewer.labels, train.labels[:3])
    np.testing.assert_array_equal(
        fewer.fetch(tf.range(3, dtype=tf.int64))[0], images[:3]
    )


def test_missing_cifar10_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ValueError) as caught:
        cifar10.load(tmp_path)
    message = str(caught.value)
    assert f"looked for {tmp_path / 'cifar10'}" in message
    assert f"tfds build cifar10 --data_dir={tmp_path}" in message


def test_a_negative_number_of_examples_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is -1; expected 0 \(all\)"):
        cifar10.load(tmp_path, num_examples=-1)


def test_resized_averages():
    images = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    original = source.from_arrays("s", images, [1, 0], ("a", "b"), [0.5] * 3)
    small = source.resized(original, 2)
    assert small.image_shape == (2, 2, 3)
    fetched = small.fetch(tf.constant([0, 1], tf.int64))[0].numpy()
    means = images.reshape(2, 2, 2, 2, 3, 3).mean((2, 4))
    np.testing.assert_array_equal(fetched, np.rint(means))
    mean, std = source.statistics(fetched)
    np.testing.assert_array_equal((small.mean, small.std), (mean, std))
    assert small.labels.tolist() == [1, 0]
    large = source.resized(original, 12)
    np.testing.assert_array_equal(
        large.fetch(tf.constant([1], tf.int64))[0][0, ::3, ::2], images[1]
    )
