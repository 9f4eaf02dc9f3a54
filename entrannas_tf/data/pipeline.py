"""Batches of an epoch, the same on every run and from every step on.

The order of the examples and the seeds of the augmentation are drawn in NumPy
for a whole epoch, as functions of (seed, epoch). A run that goes on in the
middle of an epoch drops the first rows of these tables and then sees bit for
bit what an uninterrupted run would have seen, without decoding what it skips.
"""

import os

import numpy as np
import tensorflow as tf

from entrannas_tf.data import augment

# Steps prepared ahead and at a time. A step's batches take milliseconds where
# the step takes hundreds: more would only take cores from it.
_PREFETCH = 2
_PARALLEL = max(2, (os.cpu_count() or 1) // 4)

# What the random numbers of (seed, epoch) are for; no two streams meet.
_WEIGHTS, _ARCHITECTURE = 0, 1


def epoch_order(indices, num_steps, batch_size, seed, epoch):
    """Draws which examples stand in which batch of an epoch.

    A shuffled pass over the indices is followed by further ones where the
    epoch asks for more examples than there are.

    Args:
        indices: Integers [N] to draw from.
        num_steps: Number of batches.
        batch_size: Number of examples a batch.
        seed: Non-negative integer, or a sequence of them.
        epoch: Non-negative integer.

    Returns:
        int64 [num_steps, batch_size], a function of the arguments alone.
    """
    total = num_steps * batch_size
    rng = np.random.default_rng([*np.atleast_1d(seed), epoch])
    passes = [
        rng.permutation(indices) for _ in range(-(-total // len(indices)))
    ]
    order = np.concatenate(passes)[:total].astype(np.int64)
    return order.reshape(num_steps, batch_size)


def search_batches(
    source_w,
    indices_w,
    source_a,
    indices_a,
    batch_size,
    *,
    seed,
    epoch,
    first_step=0,
    crop_padding=0,
    flip=False,
    cutout_length=0,
):
    """Makes an epoch of the search: for each step two batches.

    The epoch passes once over the weights' half and drops the examples that
    do not fill a batch; the validation half wraps around where it is smaller.

    Args:
        source_w: `ImageSource` whose examples train the weights.
        indices_w: Integers [N_w], the examples of it to use.
        source_a: `ImageSource` whose examples train the architecture; may be
            the same source.
        indices_a: Integers [N_a], the examples of it to use.
        batch_size: Number of examples B of each of the two batches.
        seed: Non-negative integer.
        epoch: Number of the epoch, from 0.
        first_step: Number of steps of this epoch that are done already.
        crop_padding: Pixels of padding before the random crop; 0 for none.
        flip: Whether images are mirrored at random.
        cutout_length: Side in pixels of the square cut out; 0 for none.

    Returns:
        A `tf.data.Dataset` of N_w // B - first_step elements
        `((images, labels), (images, labels))`: the validation batch for alpha
        and beta, then the training batch for the weights. Images are float32
        [B, H, W, C], augmented and normalised; labels are int32 [B].

    Raises:
        ValueError: If a half has fewer examples than a batch, or first_step
            lies outside the epoch.
    """
    if batch_size > min(len(indices_w), len(indices_a)):
        raise ValueError(
            f"A batch of {batch_size} is larger than a half: "
            f"{len(indices_w)} examples train the weights and "
            f"{len(indices_a)} the architecture. Choose a batch size of at "
            f"most {min(len(indices_w), len(indices_a))}, or use more data."
        )
    num_steps = len(indices_w) // batch_size
    first_step = _checked_first_step(first_step, num_steps)
    branches = []
    for source, indices, stream in (
        (source_a, indices_a, _ARCHITECTURE),
        (source_w, indices_w, _WEIGHTS),
    ):
        key = (seed, stream)
        order = epoch_order(indices, num_steps, batch_size, key, epoch)
        seeds = _step_seeds(num_steps, key, epoch)
        rows = _rows(source, order[first_step:], seeds[first_step:])
        prepare = _augmenter(source, crop_padding, flip, cutout_length)
        branches.append((rows, prepare))
    (rows_a, prepare_a), (rows_w, prepare_w) = branches
    dataset = tf.data.Dataset.from_tensor_slices((rows_a, rows_w))
    return _run(dataset, lambda a, w: (prepare_a(*a), prepare_w(*w)))


def training_batches(
    source,
    indices,
    batch_size,
    *,
    seed,
    epoch,
    first_step=0,
    crop_padding=0,
    flip=False,
    cutout_length=0,
    min_crop_area=0.0,
    color_jitter=0.0,
):
    """Makes an epoch of training the weights alone.

    Args:
        source: `ImageSource`.
        indices: Integers [N], the examples of it to use.
        batch_size: Number of examples B of a batch.
        seed: Non-negative integer.
        epoch: Number of the epoch, from 0.
        first_step: Number of steps of this epoch that are done already.
        crop_padding: Pixels of padding before the random crop; 0 for none.
        flip: Whether images are mirrored at random.
        cutout_length: Side in pixels of the square cut out; 0 for none.
        min_crop_area: As in `augment.augment`.
        color_jitter: Likewise.

    Returns:
        A `tf.data.Dataset` of N // B - first_step elements (images, labels):
        float32 [B, H, W, C], augmented and normalised, and int32 [B].

    Raises:
        ValueError: If there are fewer examples than a batch, or first_step
            lies outside the epoch.
    """
    if batch_size > len(indices):
        raise ValueError(
            f"A batch of {batch_size} is larger than the data: there are "
            f"{len(indices)} examples to train on. Choose a batch size of at "
            f"most {len(indices)}, or use more data."
        )
    num_steps = len(indices) // batch_size
    first_step = _checked_first_step(first_step, num_steps)
    key = (seed, _WEIGHTS)
    order = epoch_order(indices, num_steps, batch_size, key, epoch)
    seeds = _step_seeds(num_steps, key, epoch)
    rows = _rows(source, order[first_step:], seeds[first_step:])
    return _run(
        tf.data.Dataset.from_tensor_slices(rows),
        _augmenter(
            source,
            crop_padding,
            flip,
            cutout_length,
            min_crop_area,
            color_jitter,
        ),
    )


def evaluation_batches(source, indices, batch_size):
    """Makes full batches of every example once, in order, not augmented.

    Args:
        source: `ImageSource`.
        indices: Integers [N], N at least 1, the examples of it to use.
        batch_size: Number of examples B of a batch.

    Returns:
        A `tf.data.Dataset` of (images, labels, weights): float32
        [B, H, W, C], int32 [B] and float32 [B]. The last batch is filled up
        with the first examples again, at weight 0; all others weigh 1.

    Raises:
        ValueError: If there is no example.
    """
    if not len(indices):
        raise ValueError(
            f"{source.name}: there is no example to evaluate on; expected at "
            "least one index."
        )
    num_steps = -(-len(indices) // batch_size)
    shape = (num_steps, batch_size)
    order = np.resize(np.asarray(indices, np.int64), shape)
    weights = np.arange(order.size) < len(indices)
    weights = weights.reshape(shape).astype(np.float32)

    def prepare(chosen, labels, weights):
        images = _fetched(source, chosen)  # [B, H, W, C]
        return (
            augment.normalise(images, source.mean, source.std),
            labels,
            weights,
        )

    rows = (order, source.labels[order], weights)
    return _run(tf.data.Dataset.from_tensor_slices(rows), prepare)


def _checked_first_step(first_step, num_steps):
    """Returns first_step if an epoch of num_steps has it or ends at it."""
    if not 0 <= first_step <= num_steps:
        raise ValueError(
            f"The epoch is to go on at step {first_step}, but has {num_steps} "
            f"steps; expected 0 to {num_steps}. Was the batch size or the "
            "data changed since the run began?"
        )
    return first_step


def _step_seeds(num_steps, key, epoch):
    """Draws the augmentation's seeds, int32 [num_steps, 2].

    Row s depends on (key, epoch, s) only. The trailing 1 sets this stream
    apart from the one that shuffles.
    """
    rng = np.random.default_rng([*key, epoch, 1])
    return rng.integers(
        np.iinfo(np.int32).max, size=(num_steps, 2), dtype=np.int32
    )


def _rows(source, order, seeds):
    """Returns one row a step: (indices [B], labels [B], seed [2])."""
    return order, source.labels[order], seeds


def _augmenter(source, *settings):
    """Returns the function that makes a training batch of a row.

    Args:
        source: `ImageSource`.
        *settings: Those of `augment.augment`, in its order.
    """

    def prepare(chosen, labels, seed):
        images = _augmented(
            _fetched(source, chosen),
            seed,
            tf.constant(source.mean),
            tf.constant(source.std),
            *settings,
        )
        return images, labels

    return prepare


def _fetched(source, chosen):
    """Fetches images, uint8 [B, H, W, C] of static shape."""
    images = source.fetch(chosen)
    return tf.ensure_shape(images, [chosen.shape[0], *source.image_shape])


# Traced once for a shape and settings, not again for each epoch's dataset.
@tf.function
def _augmented(
    images,
    seed,
    mean,
    std,
    crop_padding,
    flip,
    cutout_length,
    min_crop_area=0.0,
    color_jitter=0.0,
):
    """Calls `augment.augment` as a graph of its own."""
    return augment.augment(
        images,
        seed,
        mean,
        std,
        crop_padding=crop_padding,
        flip=flip,
        cutout_length=cutout_length,
        min_crop_area=min_crop_area,
        color_jitter=color_jitter,
    )


def _run(dataset, prepare):
    """Maps rows to batches ahead of the training step, in order."""
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    # Several workers share every batch, not the files it comes from.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    dataset = dataset.map(
        prepare, num_parallel_calls=_PARALLEL, deterministic=True
    )
    return dataset.prefetch(_PREFETCH).with_options(options)
