"""Tests of image folders: what is read, and every way to lay one out wrong."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from entrannas_tf.data import folder, pipeline

_RED, _BLUE = (255, 0, 0), (0, 0, 255)


def _save(path, color=_RED, size=(12, 8), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).convert(mode).save(path)


@pytest.fixture
def root(tmp_path):
    """Two classes, three images each, of one size."""
    for index in range(3):
        _save(tmp_path / "train" / "blue" / f"{index}.png", _BLUE)
        _save(tmp_path / "train" / "red" / f"{index}.png", _RED)
    return tmp_path


def _all(source):
    images, _ = source.fetch(tf.range(source.num_examples, dtype=tf.int64))
    return images.numpy()


@pytest.mark.parametrize("cache_mib", [512, 0])
def test_classes_size_and_pixels_are_read_from_the_data(root, cache_mib):
    train, val = folder.load(root, cache_mib=cache_mib)
    assert val is None
    assert train.label_names == ("blue", "red")
    assert train.image_shape == (8, 12, 3)
    np.testing.assert_array_equal(train.labels, [0, 0, 0, 1, 1, 1])
    colors = np.array([_BLUE] * 3 + [_RED] * 3)[:, None, None]
    np.testing.assert_array_equal(
        _all(train), np.broadcast_to(colors, (6, 8, 12, 3))
    )
    np.testing.assert_allclose(train.mean, [0.5, 0, 0.5])
    np.testing.assert_allclose(train.std, [0.5, 1 / 255, 0.5])


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("x.JPG", "RGB"),
        ("x.jpeg", "L"),
        ("x.jpg", "CMYK"),
        ("x.PNG", "P"),
        ("x.png", "RGBA"),
        ("x.png", "LA"),
        ("x.png", "1"),
        ("x.bmp", "L"),
        ("x.bmp", "P"),
        ("x.gif", "P"),
    ],
)
def test_every_kind_of_image_becomes_rgb(root, name, mode):
    _save(root / "train" / "red" / name, (255, 255, 255), mode=mode)
    image = _all(folder.load(root)[0])[-1]
    assert image.shape == (8, 12, 3)
    assert image.min() >= 254


def test_sixteen_bits_are_scaled_not_clipped(root):
    levels = np.full((8, 12), 0x8000, np.uint16)
    Image.fromarray(levels).save(root / "train" / "red" / "x.png")
    assert np.all(_all(folder.load(root)[0])[-1] == 0x80)


def test_a_palette_with_transparency_warns_of_nothing(root, recwarn):
    image = Image.new("P", (12, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(root / "train" / "red" / "x.png", transparency=b"\x00\x80")
    np.testing.assert_array_equal(
        _all(folder.load(root)[0])[-1, 0, 0], [10, 20, 30]
    )
    assert not recwarn.list


def test_the_middle_square_of_the_resized_image_is_kept(root):
    stripes = np.zeros((20, 60, 3), np.uint8)
    stripes[:, 20:40] = 255
    Image.fromarray(stripes).save(root / "train" / "red" / "x.png")
    train, _ = folder.load(root, image_size=10)
    assert train.image_shape == (10, 10, 3)
    assert np.all(_all(train)[-1, :, 1:-1] == 255)  # the rim is blended
    assert _all(train)[-1].min() > 128


def test_validation_images_and_clutter(root):
    _save(root / "val" / "blue" / "a.png", _BLUE)
    _save(root / "val" / "red" / "a.png", _RED)
    (root / "train" / ".DS_Store").write_text("")
    (root / "train" / "red" / "Thumbs.db").write_text("")
    train, val = folder.load(root)
    assert (train.num_examples, val.num_examples) == (6, 2)
    np.testing.assert_array_equal(train.mean, val.mean)


def test_photographs_are_the_same_cached_or_not(shared_data, tmp_path):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        classes = sorted((shared_data / "imagenette" / split).iterdir())
        for path in classes[:2]:
            (tmp_path / split / path.name).symlink_to(path)
    cached, cached_val = folder.load(tmp_path, 48)
    lazy, lazy_val = folder.load(tmp_path, 48, cache_mib=0, verify=False)
    assert cached.num_classes == 2
    assert (cached.num_examples, cached_val.num_examples) == (240, 80)
    np.testing.assert_array_equal(cached.mean, lazy.mean)
    chosen = tf.range(0, 80, 7, dtype=tf.int64)
    for one, other in ((cached, lazy), (cached_val, lazy_val)):
        fetched, found = tf.function(other.fetch)(chosen)
        assert fetched.shape == (12, 48, 48, 3)
        np.testing.assert_array_equal(one.fetch(chosen)[0], fetched)
        np.testing.assert_array_equal(found, other.labels[chosen])


def _refused(path, *parts, **settings):
    with pytest.raises(ValueError) as caught:
        folder.load(path, **settings)
    for part in parts:
        assert part in str(caught.value)


def test_a_missing_folder(tmp_path):
    _refused(tmp_path / "no", f"no folder {tmp_path / 'no'}", "train/<class>")


def test_an_empty_folder(tmp_path):
    _refused(tmp_path, "no folder train/; found nothing", "train/<class>")


def test_a_folder_without_train(root):
    (root / "train").rename(root / "photos")
    _refused(root, "no folder train/; found photos", "train/<class>")


def test_train_without_classes(tmp_path):
    (tmp_path / "train").mkdir()
    _refused(tmp_path, "has no class", "at least two classes")


def test_one_class(tmp_path):
    _save(tmp_path / "train" / "red" / "0.png")
    _refused(tmp_path, "only the class red", "at least two classes")


def test_a_class_without_images(root):
    (root / "train" / "green").mkdir()
    _refused(root, "green has no image", "Add images, or remove")


def test_images_beside_the_class_folders(root):
    _save(root / "train" / "stray.png")
    _refused(root, "1 file(s) beside", "stray.png", "the folder of its class")


def test_nested_folders(root):
    _save(root / "train" / "red" / "dark" / "0.png")
    _refused(root, "1 further folder(s): dark", "Move their images up")


def test_no_readable_suffix(root):
    for index in range(9):
        (root / "train" / "red" / f"{index}.tiff").write_text("")
    _refused(root, "9 file(s)", "4.tiff and 4 more", ".jpg, .jpeg, .png")


def test_other_classes_in_val(root):
    _save(root / "val" / "blue" / "0.png")
    _save(root / "val" / "rde" / "0.png")
    _refused(root, "only in val/: rde", "only in train/: red")


def test_different_sizes(root):
    _save(root / "train" / "red" / "x.png", size=(5, 9))
    _refused(root, "2 different sizes", "x.png has 5x9", "image_size=5")


def test_a_negative_size(root):
    _refused(root, "size is -1", image_size=-1)


@pytest.mark.parametrize("settings", [{}, {"image_size": 8, "cache_mib": 0}])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.6])
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.gif", "x.bmp"])
def test_broken_images_are_named(root, name, share, settings):
    path = root / "train" / "red" / name
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    _refused(
        root,
        "1 image(s) cannot be decoded",
        str(path),
        "Replace or remove",
        **settings,
    )


def test_an_image_that_breaks_later_is_named_by_the_step(root):
    train, _ = folder.load(root, cache_mib=0)
    (root / "train" / "red" / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1\.png"):
        _all(train)
    batches = pipeline.evaluation_batches(train, np.arange(6), 3)
    with pytest.raises(tf.errors.OpError, match=r"1\.png"):
        list(batches)
