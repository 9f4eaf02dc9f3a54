"""Tests of ImageNet as tensorflow-datasets stores it, on gradients."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import augment, datasets, imagenet, pipeline
from entrannas_tf.training import runtime
from tests.support import tfds_imagenet

SIZE = 32


@pytest.fixture(scope="module")
def train(imagenet_dir):
    return imagenet.load(imagenet_dir, SIZE)[0]


PHOTOS = augment.Augmentation(0, True, 0, 0.2, 0.4)


def batches(train, **changes):
    settings = {"seed": 1, "epoch": 2, "augmentation": PHOTOS, **changes}
    chosen = np.arange(tfds_imagenet.NUM_TRAIN)
    made = pipeline.training_batches(train, chosen, 16, **settings)
    return list(made.as_numpy_iterator())


def test_both_splits_are_open(imagenet_dir):
    train, validation = imagenet.load(imagenet_dir, SIZE)
    for made, count in ((train, 60), (validation, 16)):
        assert made.num_examples == count
        assert made.image_shape == (SIZE, SIZE, 3)
        assert made.labels is None
        assert (made.num_classes, made.label_names[0]) == (1000, "n01440764")
        np.testing.assert_allclose(made.mean, [0.485, 0.456, 0.406])
        chosen = tf.constant([count - 1, 3, 3], tf.int64)
        images, labels = made.fetch(chosen)
        assert images.shape == (3, SIZE, SIZE, 3)
        np.testing.assert_array_equal(labels, chosen % 10)
        np.testing.assert_array_equal(images[1], images[2])
    assert validation.name == "imagenet2012/validation"


def test_images_have_224_pixels_unless_told(imagenet_dir):
    assert imagenet.load(imagenet_dir)[0].image_shape == (224, 224, 3)


def test_labels_belong_to_the_images(train):
    """The blue of gradient i is 255 (i % 16) / 16."""
    seen, plain = {}, PHOTOS._replace(color_jitter=0.0)
    for epoch in range(2):
        for images, labels in batches(train, epoch=epoch, augmentation=plain):
            blue = images[..., 2].mean((1, 2)) * train.std[2] + train.mean[2]
            for value, label in zip(np.rint(blue * 16), labels, strict=True):
                seen.setdefault(int(value), set()).add(int(label))
    for blue, labels in seen.items():
        possible = {i % 10 for i in range(60) if i % 16 == blue or i % 5 == 4}
        assert labels <= possible, blue
    assert len(seen) > 10


def test_an_epoch_goes_on_bit_for_bit(train):
    whole, rest = batches(train), batches(train, first_step=2)
    assert len(whole) == 3
    assert len(rest) == 1
    for old, new in zip(whole[2], rest[0], strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.any(batches(train, epoch=3)[0][0] != whole[0][0])


def test_replicas_share_each_batch_bit_for_bit(train):
    whole = batches(train)
    parts = batches(train, num_replicas=4, replicas=[0, 2])
    assert len(parts) == 6
    for step, batch in enumerate(whole):
        for place, replica in enumerate((0, 2)):
            rows = slice(4 * replica, 4 * replica + 4)
            for old, new in zip(batch, parts[2 * step + place], strict=True):
                np.testing.assert_array_equal(old[rows], new)


def test_without_a_random_size_crops_are_padded_centres(train):
    images, labels = batches(train, augmentation=augment.NONE)[0]
    whole, all_labels = train.fetch(tf.range(60, dtype=tf.int64))
    whole = (whole / 255 - train.mean) / train.std
    for image, label in zip(images, labels, strict=True):
        distances = np.abs(whole - image).max((1, 2, 3))
        assert label in all_labels.numpy()[distances < 1e-4]


def test_each_part_of_a_search_is_a_tenth(imagenet_dir):
    train, _, indices = datasets.load(
        "imagenet2012", data_dir=str(imagenet_dir), image_size=SIZE
    )

    def halve(seed):
        return datasets.halve(train, None, indices, 0.1, seed, 0.1)

    data = halve(3)
    assert data.source_w is data.source_a is train
    assert len(data.indices_w) == len(data.indices_a) == 6
    assert not set(data.indices_w) & set(data.indices_a)
    np.testing.assert_array_equal(data.indices_w, halve(3).indices_w)
    assert set(data.indices_w) != set(halve(4).indices_w)


def test_a_retraining_has_all_and_is_tested_on_validation(imagenet_dir):
    train, test, indices = datasets.load(
        "imagenet2012", data_dir=str(imagenet_dir), image_size=SIZE
    )
    data = datasets.for_retraining(train, test, indices, 0.9)
    np.testing.assert_array_equal(data.indices, np.arange(60))
    assert data.test_source.name == "imagenet2012/validation"
    np.testing.assert_array_equal(data.test_indices, np.arange(16))


def test_evaluation_passes_over_all(imagenet_dir):
    _, validation = imagenet.load(imagenet_dir, SIZE)
    made = pipeline.evaluation_batches(validation, np.arange(16), 6)
    labels = np.concatenate([labels for _, labels, _ in made])
    np.testing.assert_array_equal(labels[:16], np.arange(16) % 10)
    images, _ = validation.fetch(tf.range(6, dtype=tf.int64))
    expected = (images / 255 - validation.mean) / validation.std
    np.testing.assert_allclose(next(iter(made))[0], expected, atol=1e-5)


def test_missing_imagenet_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ValueError) as caught:
        imagenet.load(tmp_path)
    message = str(caught.value)
    assert f"in {tmp_path / 'imagenet2012'}" in message
    assert "found no data set there" in message
    assert f"tfds build imagenet2012 --data_dir={tmp_path}" in message


def test_a_split_that_is_missing_is_named(tmp_path):
    examples = [(tfds_imagenet.smooth_jpeg(0), 0)] * 3
    tfds_imagenet.write(tmp_path, {"train": examples})
    with pytest.raises(ValueError, match="and found train\\. Prepare it"):
        imagenet.load(tmp_path)


def test_another_format_is_refused(tmp_path):
    tfds_imagenet.write(tmp_path)
    (path,) = tmp_path.glob("imagenet2012/*/dataset_info.json")
    path.write_text(path.read_text().replace("tfrecord", "array_record"))
    message = "in the format array_record; expected tfrecord. Prepare it again"
    with pytest.raises(ValueError, match=message):
        imagenet.load(tmp_path)


def test_a_record_that_breaks_in_mid_run_is_named(tmp_path):
    tfds_imagenet.write(tmp_path)
    train, _ = imagenet.load(tmp_path, SIZE)
    path = next(tmp_path.glob("imagenet2012/*/*train.tfrecord-00001*"))
    contents = bytearray(path.read_bytes())
    contents[0] += 1
    path.write_bytes(contents)
    message = r"^1 image.* be decoded: .*train\.tfrecord-00001-of-00003, bytes"
    with (
        pytest.raises(ValueError, match=message) as caught,
        runtime.plain_errors("training.batch_size"),
    ):
        batches(train)
    assert "\n" not in str(caught.value)
