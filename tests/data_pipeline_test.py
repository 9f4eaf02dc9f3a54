"""Tests of the batches of an epoch, on the digits."""

import time

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import digits, pipeline, source, split


@pytest.fixture(scope="module")
def train():
    return digits.load()[0]


@pytest.fixture(scope="module")
def halves(train):
    return split.halves(train.labels, 0.5, 0)


def _search(train, halves, **changes):
    settings = {
        "seed": 3,
        "epoch": 2,
        "crop_padding": 2,
        "flip": True,
        "cutout_length": 4,
    }
    weight, validation = halves
    return pipeline.search_batches(
        train, weight, train, validation, 64, **(settings | changes)
    )


def _flat(dataset):
    return [tf.nest.flatten(element) for element in dataset.as_numpy_iterator()]


def _assert_same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def _numbered(count):
    """A source whose image number i is filled with i."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return source.from_arrays(
        "numbered",
        np.tile(images, (1, 2, 2, 1)),
        np.arange(count) % 5,
        tuple("abcde"),
        mean=[0.0],
        std=[1 / 255],
    )


@pytest.mark.parametrize("seed", range(5))
def test_an_order_passes_over_all_before_it_repeats(seed):
    indices = np.arange(10, 33)
    order = pipeline.epoch_order(indices, 7, 8, seed, 1)
    assert order.shape == (7, 8)
    assert order.dtype == np.int64
    flat = order.ravel()
    np.testing.assert_array_equal(np.sort(flat[:23]), indices)
    np.testing.assert_array_equal(np.sort(flat[23:46]), indices)
    assert len(set(flat[46:])) == 10
    assert np.any(flat[:23] != flat[23:46])


def test_an_order_depends_on_seed_and_epoch_alone():
    def draw(seed, epoch):
        return pipeline.epoch_order(np.arange(100), 5, 20, seed, epoch)

    np.testing.assert_array_equal(draw(1, 2), draw(1, 2))
    assert np.any(draw(1, 2) != draw(1, 3))
    assert np.any(draw(1, 2) != draw(2, 2))


def test_search_batches_come_from_their_halves():
    numbered = _numbered(100)
    weight, validation = np.arange(60), np.arange(60, 100)
    dataset = pipeline.search_batches(
        numbered, weight, numbered, validation, 8, seed=0, epoch=0
    )
    seen_w, seen_a = [], []
    for (images_a, labels_a), (images_w, labels_w) in dataset:
        for images, labels, seen in (
            (images_a, labels_a, seen_a),
            (images_w, labels_w, seen_w),
        ):
            numbers = np.rint(images[:, 0, 0, 0]).astype(int)
            np.testing.assert_array_equal(labels, numbers % 5)
            seen += numbers.tolist()
    assert len(seen_w) == len(set(seen_w)) == 56
    assert set(seen_w) <= set(weight)
    assert set(seen_a) == set(validation)  # wrapped around: 56 of 40


def test_search_batches_have_static_shapes_and_a_known_length(train, halves):
    dataset = _search(train, halves)
    images = tf.TensorSpec([64, 16, 16, 1], tf.float32)
    labels = tf.TensorSpec([64], tf.int32)
    assert dataset.element_spec == ((images, labels), (images, labels))
    assert int(dataset.cardinality()) == len(halves[0]) // 64 == 11


def test_an_epoch_goes_on_bit_for_bit(train, halves):
    whole = _flat(_search(train, halves))
    _assert_same(whole, _flat(_search(train, halves)))
    for first_step in (1, 7, 11):
        rest = _flat(_search(train, halves, first_step=first_step))
        _assert_same(whole[first_step:], rest)


@pytest.mark.parametrize("changes", [{"seed": 4}, {"epoch": 3}])
def test_another_seed_or_epoch_gives_other_batches(train, halves, changes):
    before = _flat(_search(train, halves))[0]
    after = _flat(_search(train, halves, **changes))[0]
    assert all(np.any(x != y) for x, y in zip(before, after, strict=True))


def test_the_same_example_is_augmented_anew_each_step():
    numbered = _numbered(100)
    dataset = pipeline.training_batches(
        numbered, np.repeat(7, 64), 8, seed=0, epoch=0, cutout_length=2
    )
    images = [batch.tobytes() for batch, _ in dataset.as_numpy_iterator()]
    assert len(set(images)) == 8


def test_training_batches_are_the_weights_batches_of_the_search(train, halves):
    alone = pipeline.training_batches(
        train,
        halves[0],
        64,
        seed=3,
        epoch=2,
        first_step=4,
        crop_padding=2,
        flip=True,
        cutout_length=4,
    )
    searched = _flat(_search(train, halves, first_step=4))
    _assert_same(_flat(alone), [element[2:] for element in searched])


def test_evaluation_sees_every_example_once():
    numbered = _numbered(50)
    indices = np.arange(49, 26, -1)  # 23 of them
    dataset = pipeline.evaluation_batches(numbered, indices, 10)
    batches = list(dataset.as_numpy_iterator())
    assert int(dataset.cardinality()) == len(batches) == 3
    for images, labels, weights in batches:
        assert images.shape == (10, 2, 2, 1)
        assert (labels.dtype, weights.dtype) == (np.int32, np.float32)
        np.testing.assert_array_equal(labels, np.rint(images[:, 0, 0, 0]) % 5)
    numbers = np.concatenate([b[0][:, 0, 0, 0] for b in batches])
    weights = np.concatenate([b[2] for b in batches])
    np.testing.assert_allclose(numbers[weights == 1], indices)
    np.testing.assert_array_equal(weights[23:], np.zeros(7))
    np.testing.assert_allclose(numbers[23:], indices[:7])


def test_a_set_smaller_than_a_batch_can_be_evaluated():
    (batch,) = pipeline.evaluation_batches(_numbered(3), np.arange(3), 8)
    np.testing.assert_array_equal(batch[2], [1, 1, 1, 0, 0, 0, 0, 0])


def test_a_batch_larger_than_a_half_is_refused(train):
    message = r"batch of 64 is larger than a half: 80 .* 40 the architecture"
    with pytest.raises(ValueError, match=message):
        pipeline.search_batches(
            train, np.arange(80), train, np.arange(40), 64, seed=0, epoch=0
        )
    with pytest.raises(ValueError, match="batch of 64 is larger than the data"):
        pipeline.training_batches(train, np.arange(40), 64, seed=0, epoch=0)


def test_a_step_beyond_the_epoch_is_refused(train, halves):
    with pytest.raises(ValueError, match="at step 12, but has 11 steps"):
        _search(train, halves, first_step=12)


def test_nothing_to_evaluate_is_refused(train):
    with pytest.raises(ValueError, match="no example to evaluate on"):
        pipeline.evaluation_batches(train, np.arange(0), 8)


def test_a_further_epoch_costs_little_to_set_up(train, halves):
    _search(train, halves)
    seconds = []
    for epoch in range(5):
        start = time.perf_counter()
        _search(train, halves, epoch=epoch)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3
