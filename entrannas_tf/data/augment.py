"""Augmentation of whole batches: pure, stateless, safe in graphs.

The order is DARTS's: a random crop of the image padded with black, a random
mirror image, normalisation, cutout. Padding comes before normalisation (it is
black), cutout after it (it is the mean of the data set). For ImageNet DARTS
crops at a random size instead, and changes the colours before normalisation:
see `photos`.
"""

from typing import NamedTuple

import tensorflow as tf

from entrannas_tf.data import photos, sampling


class Augmentation(NamedTuple):
    """How training images are augmented; not at all by default.

    Attributes:
        crop_padding: Pixels of padding on each side before a random crop; 0
            for no crop.
        flip: Whether half of the images, at random, are mirrored.
        cutout_length: Side of the square that is cut out, in pixels; 0 for
            none.
        min_crop_area: Least share of the area that a crop of random size
            takes, see `photos.resized_crop`; 0 for no such crop.
        color_jitter: Strength of `photos.jitter_colors`; 0 for none.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout_length: int = 0
    min_crop_area: float = 0.0
    color_jitter: float = 0.0

    @classmethod
    def of(cls, settings):
        """Returns that of an object with these fields, as `ImagesConfig`."""
        return cls(*(getattr(settings, field) for field in cls._fields))

    def preparer(self, source, num_replicas):
        """Returns the function that makes a training batch of a row.

        Args:
            source: `ImageSource`.
            num_replicas: Number of replicas R that share each batch.

        Returns:
            A function of (chosen int64 [B / R], seed int32 [2], replica int32
            scalar) that works in graphs and returns (images, labels): float32
            [B / R, H, W, C], augmented and normalised, and int32 [B / R].

        Raises:
            ValueError: If colours are to change where there are none.
        """
        if self.color_jitter and source.image_shape[-1] != 3:
            raise ValueError(
                f"data.color_jitter is {self.color_jitter}, and the images "
                "are grey; expected 0."
            )
        augmentation, min_area = self, 0.0
        if source.fetch_crops is not None:  # Crops before all is decoded.
            min_area = self.min_crop_area
            augmentation = self._replace(min_crop_area=0.0)

        def prepare(chosen, seed, replica):
            share = sampling.Share(replica, num_replicas)
            if min_area:
                numbers = crop_numbers(chosen.shape[0], seed, share)
                fetched = source.fetch_crops(chosen, numbers, min_area)
            else:
                fetched = source.fetch(chosen)
            images, labels = source.with_shape(chosen, fetched)
            images = _augmented(
                images,
                seed,
                tf.constant(source.mean),
                tf.constant(source.std),
                augmentation,
                share,
            )
            return images, labels

        return prepare


NONE = Augmentation()


def augment(images, seed, mean, std, augmentation, share=sampling.WHOLE):
    """Crops, mirrors, normalises and cuts out, as DARTS does.

    Args:
        images: uint8 [B, H, W, C].
        seed: int32 [2]; the same seed gives the same result.
        mean: float32 [C], of images scaled to [0, 1].
        std: float32 [C], their standard deviation.
        augmentation: `Augmentation`.
        share: `sampling.Share`: which of the step's images these are. All
            shares together are augmented as the whole is.

    Returns:
        float32 [B, H, W, C].
    """
    padding, flip, cutout_length, min_crop_area, color_jitter = augmentation
    crop_seed, flip_seed, cutout_seed = tf.unstack(tf.random.split(seed, 3))
    if padding or flip:
        images = crop_and_flip(
            images, crop_seed, flip_seed, padding, flip, share
        )
    if min_crop_area or color_jitter:
        area_seed, color_seed = _photo_seeds(crop_seed)
        images = tf.cast(images, tf.float32)
        if min_crop_area:
            images = photos.resized_crop(
                images, area_seed, min_crop_area, share
            )
        if color_jitter:
            images = photos.jitter_colors(
                images, color_seed, color_jitter, share
            )
    images = normalise(images, mean, std)
    if cutout_length:
        images = cutout(images, cutout_seed, cutout_length, share)
    return images


# Traced once for a shape and settings, not again for each epoch's dataset.
_augmented = tf.function(augment)


def crop_numbers(batch, seed, share):
    """Draws what `augment` chooses its crops of random size by.

    Args:
        batch: Number of images B.
        seed: int32 [2], the seed of `augment`.
        share: `sampling.Share`: which of the step's images these are.

    Returns:
        float32 [4, B], for `photos.crop_boxes`.
    """
    crop_seed, _, _ = tf.unstack(tf.random.split(seed, 3))
    return sampling.uniform(4, batch, _photo_seeds(crop_seed)[0], share)


def _photo_seeds(crop_seed):
    """Returns the seeds of the crops of random size and of the colours."""
    return tf.unstack(tf.random.split(crop_seed, 2))


def normalise(images, mean, std):
    """Scales images to [0, 1], then to mean 0 and standard deviation 1.

    Args:
        images: uint8 or float32 [B, H, W, C], from 0 to 255; C alone must be
            known in graphs.
        mean: float32 [C], of images scaled to [0, 1].
        std: float32 [C], their standard deviation.

    Returns:
        float32 [B, H, W, C].
    """
    batch, height, width, channels = (
        tf.shape(images)[axis] if size is None else size
        for axis, size in enumerate(images.shape)
    )
    mean = tf.convert_to_tensor(mean, tf.float32)
    std = tf.convert_to_tensor(std, tf.float32)
    scale = tf.tile(1.0 / (255.0 * std), [width])  # [W * C]
    offset = tf.tile(mean / std, [width])  # [W * C]
    # Whole rows at a time: an innermost axis of C = 3 is many times slower.
    lines = tf.reshape(images, [batch, height, width * channels])
    lines = tf.cast(lines, tf.float32) * scale - offset
    return tf.reshape(lines, [batch, height, width, channels])


def crop_and_flip(
    images, crop_seed, flip_seed, padding, flip, share=sampling.WHOLE
):
    """Pads with zeros, crops back at a random place, mirrors at random.

    Each output row and column is looked up in the padded image, so that
    mirroring costs nothing.

    Args:
        images: uint8 [B, H, W, C].
        crop_seed: int32 [2].
        flip_seed: int32 [2].
        padding: Pixels added on each of the four sides, 0 or more.
        flip: Whether an image is mirrored left to right, with probability
            1/2.
        share: `sampling.Share`: which of the step's images these are.

    Returns:
        uint8 [B, H, W, C].
    """
    batch, height, width = images.shape[:3]
    top, left = tf.unstack(  # [B] each
        sampling.uniform(
            2, batch, crop_seed, share, 0, 2 * padding + 1, tf.int32
        )
    )
    rows = top[:, None] + tf.range(height)  # [B, H]
    columns = left[:, None] + tf.range(width)  # [B, W]
    if flip:
        mirrored = sampling.uniform(1, batch, flip_seed, share)[0] < 0.5  # [B]
        columns = tf.where(mirrored[:, None], columns[:, ::-1], columns)
    sides = [padding, padding]
    images = tf.pad(images, [[0, 0], sides, sides, [0, 0]])
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def cutout(images, seed, length, share=sampling.WHOLE):
    """Sets a square of each image to zero (DeVries and Taylor, 2017).

    The centre is uniform over the image, so that the square may reach beyond
    a border and is clipped there. As in DARTS an odd length cuts one less.

    Args:
        images: float32 [B, H, W, C], normalised.
        seed: int32 [2].
        length: Side of the square in pixels.
        share: `sampling.Share`: which of the step's images these are.

    Returns:
        float32 [B, H, W, C].
    """
    batch, height, width, channels = images.shape
    centres = sampling.uniform(2, batch, seed, share)[..., None]  # [2, B, 1]
    rows = _span(centres[0], height, length)  # [B, H]
    columns = _span(centres[1], width, length)  # [B, W]
    columns = tf.repeat(columns, channels, axis=1)  # [B, W * C]
    cut = tf.logical_and(rows[:, :, None], columns[:, None, :])
    lines = tf.reshape(images, [batch, height, width * channels])
    lines = tf.where(cut, tf.zeros([], images.dtype), lines)
    return tf.reshape(lines, [batch, height, width, channels])


def _span(centres, size, length):
    """Returns bool [B, size], the pixels that squares cover along an axis."""
    centres = tf.cast(centres * size, tf.int32)  # [B, 1]
    positions = tf.range(size)
    return tf.logical_and(
        positions >= centres - length // 2, positions < centres + length // 2
    )
