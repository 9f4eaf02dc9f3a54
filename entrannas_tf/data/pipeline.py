"""Batches of an epoch, the same on every run and from every step on.

The order of the examples and the seeds of the augmentation are drawn in NumPy
for a whole epoch, as functions of (seed, epoch). A run that goes on in the
middle of an epoch drops the first rows of these tables and then sees bit for
bit what an uninterrupted run would have seen, without decoding what it skips.
"""

import functools
import os

import numpy as np
import tensorflow as tf

from entrannas_tf.data import augment, sampling

# Steps prepared ahead, and elements at a time. A step's batches take a few
# milliseconds and the step hundreds: more would take cores from it.
_PREFETCH = 2
_PARALLEL = max(2, (os.cpu_count() or 1) // 4)

# What the random numbers of (seed, epoch) are for; no two streams meet.
_WEIGHTS, _ARCHITECTURE = 0, 1


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
    augmentation=augment.NONE,
    num_replicas=1,
    replicas=None,
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
        augmentation: `augment.Augmentation`.
        num_replicas: Number of replicas that share each batch.
        replicas: Numbers of those that this process feeds; None for all.

    Returns:
        A `tf.data.Dataset` of N_w // B - first_step elements
        `((images, labels), (images, labels))`: the validation batch for alpha
        and beta, then the training batch for the weights. Images are float32
        [B, H, W, C], augmented and normalised; labels are int32 [B]. Several
        replicas share each of them as in `training_batches`.

    Raises:
        ValueError: If a half has fewer examples than a batch, B does not
            divide among the replicas, there is no such replica, or first_step
            lies outside the epoch; or if the colours of grey images are to
            change.
    """
    if batch_size > min(len(indices_w), len(indices_a)):
        raise ValueError(
            f"A batch of {batch_size} is larger than a half: "
            f"{len(indices_w)} examples train the weights and "
            f"{len(indices_a)} the architecture. Choose a batch size of at "
            f"most {min(len(indices_w), len(indices_a))}, or use more data."
        )
    fed = sampling.check_replicas(batch_size, num_replicas, replicas)
    draw = functools.partial(
        _rows, len(indices_w) // batch_size, batch_size, epoch, first_step, fed
    )
    prepare_w = augmentation.preparer(source_w, num_replicas)
    prepare_a = augmentation.preparer(source_a, num_replicas)
    return _run(
        (
            draw(indices_a, (seed, _ARCHITECTURE)),
            draw(indices_w, (seed, _WEIGHTS)),
        ),
        lambda a, w: (prepare_a(*a), prepare_w(*w)),
        fed,
    )


def training_batches(
    source,
    indices,
    batch_size,
    *,
    seed,
    epoch,
    first_step=0,
    augmentation=augment.NONE,
    num_steps=None,
    num_replicas=1,
    replicas=None,
):
    """Makes an epoch of training the weights alone.

    Args:
        source: `ImageSource`, or `voc.MaskedPhotos`.
        indices: Integers [N], the examples of it to use.
        batch_size: Number of examples B of a batch.
        seed: Non-negative integer.
        epoch: Number of the epoch, from 0.
        first_step: Number of steps of this epoch that are done already.
        augmentation: `augment.Augmentation`; of masked photographs
            `scale_crop.Augmentation`.
        num_steps: Number of steps of an epoch, which may be more than one
            pass over the examples; None for one pass, without the examples
            that do not fill a batch.
        num_replicas: Number of replicas R that share each batch.
        replicas: Numbers of those that this process feeds, F of them; None
            for all.

    Returns:
        A `tf.data.Dataset` of num_steps - first_step elements (images,
        labels): float32 [B, H, W, C], augmented and normalised, and int32 [B],
        or [B, H, W] of masks. With several replicas there are F elements for
        each of these, the replicas' parts of it, B / R examples each; all R
        together are it, bit for bit.

    Raises:
        ValueError: If one pass has fewer examples than a batch, B does not
            divide among the replicas, there is no such replica, or first_step
            lies outside the epoch; or if the colours of grey images are to
            change.
    """
    if num_steps is None and batch_size > len(indices):
        raise ValueError(
            f"A batch of {batch_size} is larger than the data: there are "
            f"{len(indices)} examples to train on. Choose a batch size of at "
            f"most {len(indices)}, or use more data."
        )
    fed = sampling.check_replicas(batch_size, num_replicas, replicas)
    if num_steps is None:
        num_steps = len(indices) // batch_size
    key = (seed, _WEIGHTS)
    rows = _rows(num_steps, batch_size, epoch, first_step, fed, indices, key)
    return _run(rows, augmentation.preparer(source, num_replicas), fed)


def evaluation_batches(
    source, indices, batch_size, *, num_replicas=1, replicas=None
):
    """Makes full batches of every example once, in order, not augmented.

    Args:
        source: `ImageSource`.
        indices: Integers [N], N at least 1, the examples of it to use.
        batch_size: Number of examples B of a batch.
        num_replicas: Number of replicas that share each batch.
        replicas: Numbers of those that this process feeds; None for all.

    Returns:
        A `tf.data.Dataset` of (images, labels, weights): float32
        [B, H, W, C], int32 [B] and float32 [B]. The last batch is filled up
        with the first examples again, at weight 0; all others weigh 1.
        Several replicas share each of them as in `training_batches`.

    Raises:
        ValueError: If there is no example, or B does not divide among the
            replicas.
    """
    _check_examples(source, indices)
    fed = sampling.check_replicas(batch_size, num_replicas, replicas)
    shape = (-(-len(indices) // batch_size), batch_size)
    chosen = np.resize(np.asarray(indices, np.int64), shape)
    weights = np.arange(chosen.size) < len(indices)
    weights = weights.reshape(shape).astype(np.float32)

    def prepare(chosen, weights):
        fetched = source.fetch(chosen)
        images, labels = source.with_shape(chosen, fetched)
        images = augment.normalise(images, source.mean, source.std)
        return images, labels, weights

    return _run((fed.split(chosen), fed.split(weights)), prepare, fed)


def evaluation_batches_by_size(
    source, indices, batch_size, *, num_replicas=1, replicas=None
):
    """Makes batches of every whole photograph once, each of one size.

    Nothing is scaled or padded, so that a prediction does not depend on what
    else is in its batch. The sizes come in the order of their first
    photographs.

    Args:
        source: `voc.MaskedPhotos`.
        indices: Integers [N], N at least 1, the examples of it to use.
        batch_size: Largest number of examples B of a batch.
        num_replicas: Number of replicas that share each batch.
        replicas: Numbers of those that this process feeds; None for all.

    Returns:
        A `tf.data.Dataset` of (images, labels, weights): float32
        [b, H, W, 3], normalised, int32 [b, H, W] and float32 [b]. The last
        batch of a size is smaller: it is filled up only to a multiple of the
        replicas, with its first examples again at weight 0; all others weigh
        1. Several replicas share each of them as in `training_batches`.

    Raises:
        ValueError: If there is no example, or B does not divide among the
            replicas.
    """
    _check_examples(source, indices)
    fed = sampling.check_replicas(batch_size, num_replicas, replicas)
    chosen, weights = [], []
    for members in _by_size(source.sizes, indices):
        for start in range(0, len(members), batch_size):
            batch = members[start : start + batch_size]
            shape = (1, -(-len(batch) // num_replicas) * num_replicas)
            chosen += list(fed.split(np.resize(batch, shape)))
            weighs = np.arange(shape[1])[None] < len(batch)
            weights += list(fed.split(weighs.astype(np.float32)))
    lengths = [len(row) for row in chosen]
    rows = tuple(
        tf.RaggedTensor.from_row_lengths(np.concatenate(table), lengths)
        for table in (chosen, weights)
    )

    def prepare(chosen, weights):
        images, labels = source.fetch(chosen)
        images = augment.normalise(images, source.mean, source.std)
        return images, labels, weights

    return _run(rows, prepare, fed)


def _by_size(sizes, indices):
    """Returns arrays of those indices whose sizes, [N, 2], are the same."""
    groups = {}
    for index in np.asarray(indices, np.int64):
        groups.setdefault(tuple(sizes[index]), []).append(index)
    return [np.asarray(members) for members in groups.values()]


def _check_examples(source, indices):
    """Raises ValueError if there is nothing to evaluate on."""
    if not len(indices):
        raise ValueError(
            f"{source.name}: there is no example to evaluate on; expected at "
            "least one index."
        )


def _rows(num_steps, batch_size, epoch, first_step, fed, indices, key):
    """Draws what the prepared batches of an epoch are made of, row by row.

    Args:
        key: (seed, stream).

    Returns:
        (chosen int64 [n, B / R], seeds int32 [n, 2], replicas int32 [n]).
    """
    sampling.check_first_step(first_step, num_steps)
    chosen = sampling.epoch_order(indices, num_steps, batch_size, key, epoch)
    seeds = sampling.step_seeds(num_steps, key, epoch)
    return (
        fed.split(chosen[first_step:]),
        fed.repeat(seeds[first_step:]),
        fed.number(num_steps - first_step),
    )


def _run(rows, prepare, fed):
    """Maps rows to batches ahead of the training step, in order."""
    num_fed = len(fed.numbers)
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_tensor_slices(rows).map(
        prepare,
        num_parallel_calls=max(_PARALLEL, num_fed),
        deterministic=True,
    )
    return dataset.prefetch(_PREFETCH * num_fed).with_options(options)
