"""Tests of the batches of an epoch, on the digits."""

import dataclasses
import time

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import augment, datasets, digits, pipeline, source

AUGMENTATION = augment.Augmentation(2, True, 4)


@pytest.fixture(scope="module")
def train():
    return digits.load()[0]


@pytest.fixture(scope="module")
def halves(train):
    return datasets.halves(train.labels, 0.5, 0)


def _search(train, halves, **changes):
    settings = {
        "seed": 3,
        "epoch": 2,
        "augmentation": AUGMENTATION,
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
        numbered,
        np.repeat(7, 64),
        8,
        seed=0,
        epoch=0,
        augmentation=augment.Augmentation(cutout_length=2),
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
        augmentation=AUGMENTATION,
    )
    searched = _flat(_search(train, halves, first_step=4))
    _assert_same(_flat(alone), [element[2:] for element in searched])


def test_an_epoch_may_have_any_number_of_steps():
    """Ten examples: two passes and a half, and batches of more than all."""
    settings = {"seed": 0, "epoch": 0}
    for batch_size, num_steps in ((4, 6), (4, 1), (25, 2)):
        dataset = pipeline.training_batches(
            _numbered(10),
            np.arange(10),
            batch_size,
            num_steps=num_steps,
            **settings,
        )
        assert int(dataset.cardinality()) == num_steps
        seen = [np.rint(images[:, 0, 0, 0]) for images, _ in dataset]
        seen = np.concatenate(seen).astype(int)
        assert len(seen) == num_steps * batch_size
        counts = np.bincount(seen, minlength=10)
        assert counts.max() - counts.min() <= 1
    with pytest.raises(ValueError, match="at step 7, but has 6 steps"):
        pipeline.training_batches(
            _numbered(10),
            np.arange(10),
            4,
            num_steps=6,
            first_step=7,
            **settings,
        )


def _training(train, halves, **changes):
    settings = {
        "seed": 3,
        "epoch": 2,
        "first_step": 9,
        "augmentation": AUGMENTATION,
    }
    return pipeline.training_batches(
        train, halves[0], 64, **(settings | changes)
    )


def _evaluation(train, halves, **changes):
    return pipeline.evaluation_batches(train, halves[0][:200], 64, **changes)


def _photographs(train, halves, **changes):
    """Random crops and colours too, which are drawn last."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 12, 16, 3), dtype=np.uint8)
    made = source.from_arrays("s", images, np.arange(64) % 2, ("a", "b"))
    photos = augment.Augmentation(min_crop_area=0.1, color_jitter=0.4)
    return pipeline.training_batches(
        made, np.arange(64), 32, seed=1, epoch=0, augmentation=photos, **changes
    )


@pytest.mark.parametrize(
    "make", [_search, _training, _evaluation, _photographs]
)
@pytest.mark.parametrize("num_replicas", [2, 4])
def test_replicas_share_each_batch_bit_for_bit(
    train, halves, make, num_replicas
):
    whole = _flat(make(train, halves))
    parts = _flat(make(train, halves, num_replicas=num_replicas))
    assert len(parts) == num_replicas * len(whole)
    joined = [
        [np.concatenate(tensors) for tensors in zip(*step, strict=True)]
        for step in zip(
            *(parts[i::num_replicas] for i in range(num_replicas)), strict=True
        )
    ]
    _assert_same(whole, joined)


def test_a_process_feeds_its_own_replicas(train, halves):
    every = _flat(_training(train, halves, num_replicas=4))
    fed = _training(train, halves, num_replicas=4, replicas=[1, 3])
    assert int(fed.cardinality()) == 2 * 2
    _assert_same([every[i] for i in (1, 3, 5, 7)], _flat(fed))
    images = tf.TensorSpec([16, 16, 16, 1], tf.float32)
    assert fed.element_spec == (images, tf.TensorSpec([16], tf.int32))


def test_only_the_images_of_the_replicas_fed_are_fetched():
    numbered, noted = _numbered(64), []

    def fetch(indices):
        def note(indices):
            noted.extend(indices.tolist())
            return indices

        return numbered.fetch(tf.numpy_function(note, [indices], tf.int64))

    watched = dataclasses.replace(numbered, fetch=fetch)
    dataset = pipeline.training_batches(
        watched,
        np.arange(64),
        16,
        seed=0,
        epoch=0,
        num_replicas=4,
        replicas=[2],
    )
    seen = [np.rint(images[:, 0, 0, 0]) for images, _ in dataset]
    assert sorted(noted) == sorted(np.concatenate(seen))
    assert len(noted) == 16


@pytest.mark.parametrize("make", [_search, _training, _evaluation])
def test_a_batch_that_does_not_divide_is_refused(train, halves, make):
    message = "batch of 64 does not divide among 3 replicas; expected a mult"
    with pytest.raises(ValueError, match=message):
        make(train, halves, num_replicas=3)


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
