"""Tests of Pascal VOC's layout: what is read, and every way to get it wrong."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from entrannas_tf.data import pipeline, scale_crop, voc
from tests.support import voc_folder

LISTS = "ImageSets/Segmentation"
CROPS = scale_crop.Augmentation(28)


@pytest.fixture
def root(tmp_path):
    """Six photographs to train on and three to evaluate on, three classes."""
    voc_folder.write(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """(train, val) of such a folder, which nobody changes."""
    folder = tmp_path_factory.mktemp("voc")
    voc_folder.write(folder)
    return voc.load(folder)


def test_photographs_and_masks_are_read_from_the_data(root):
    train, val = voc.load(root)
    assert (train.name, val.name) == (f"{root.name}/train", f"{root.name}/val")
    assert train.label_names == val.label_names == voc_folder.CLASSES
    assert (train.num_classes, train.num_examples, val.num_examples) == (
        3,
        6,
        3,
    )
    assert (train.labels, train.image_shape) == (None, (None, None, 3))
    for source, first in ((train, 0), (val, 6)):
        assert source.sizes.dtype == np.int32
        np.testing.assert_array_equal(
            source.sizes,
            [
                voc_folder.SIZES[(first + i) % 2]
                for i in range(len(source.sizes))
            ],
        )
        for number in range(source.num_examples):
            images, masks = source.fetch(tf.constant([number], tf.int64))
            mask = voc_folder.make_mask(first + number)
            assert (images.dtype, masks.dtype) == (tf.uint8, tf.int32)
            np.testing.assert_array_equal(masks[0], mask)
            np.testing.assert_array_equal(images[0], voc_folder.paint(mask))


def test_photographs_of_one_size_are_fetched_in_graphs(loaded):
    @tf.function
    def fetch(indices):
        images, masks = loaded[0].fetch(indices)
        assert images.shape.as_list() == [2, None, None, 3]
        return images, masks

    images, masks = fetch(tf.constant([5, 1], tf.int64))
    assert images.shape == (2, 36, 24, 3)
    np.testing.assert_array_equal(masks[0], voc_folder.make_mask(5))
    np.testing.assert_array_equal(masks[1], voc_folder.make_mask(1))


def test_statistics_are_of_the_training_photographs(loaded):
    pixels = np.concatenate(
        [
            voc_folder.paint(voc_folder.make_mask(i)).reshape(-1, 3)
            for i in range(6)
        ]
    )
    for source in loaded:
        assert source.mean.dtype == source.std.dtype == np.float32
        np.testing.assert_allclose(source.mean, pixels.mean(0) / 255, 1e-5)
        np.testing.assert_allclose(source.std, pixels.std(0) / 255, 1e-5)


def test_pixels_are_counted_without_those_that_are_not_labelled(loaded):
    for source, numbers in zip(loaded, (range(6), range(6, 9)), strict=True):
        masks = [voc_folder.make_mask(i).ravel() for i in numbers]
        expected = np.bincount(np.concatenate(masks))[:3]
        assert source.pixel_counts.dtype == np.int64
        np.testing.assert_array_equal(source.pixel_counts, expected)


def test_photographs_are_read_at_full_size_as_stored(root):
    """Without the orientation that a camera noted, as masks are drawn."""
    photograph = Image.open(root / "JPEGImages" / "t0.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    photograph.save(root / "JPEGImages" / "t0.jpg", exif=exif, quality=100)
    train, _ = voc.load(root)
    assert train.photographs[0].endswith("t0.jpg")
    assert tuple(train.sizes[0]) == voc_folder.SIZES[0]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png"])
def test_photographs_are_found_by_their_stem(tmp_path, suffix):
    voc_folder.write(tmp_path, suffix=suffix)
    assert voc.load(tmp_path)[1].photographs[2].endswith(f"v2{suffix}")


@pytest.mark.parametrize("inner", ["VOCdevkit/VOC2012", "VOC2012"])
def test_the_unpacked_archive_is_found(tmp_path, inner):
    voc_folder.write(tmp_path / inner)
    assert voc.load(tmp_path)[0].name == "VOC2012/train"


def test_the_augmented_list_is_taken_where_it_is_there(root):
    voc_folder.write_list(root, "trainaug", ["", "t3", "", "t4"])
    train, _ = voc.load(root)
    assert train.name == f"{root.name}/trainaug"
    assert [path[-6:] for path in train.photographs] == ["t3.png", "t4.png"]
    for name in ("train", "train.txt"):
        assert voc.load(root, name)[0].num_examples == 6


def test_the_additional_masks_are_taken_where_they_are_there(root):
    """For each list the folder that has all of its masks."""
    folder = root / "SegmentationClassAug"
    folder.mkdir()
    for name in voc_folder.TRAIN:
        (root / "SegmentationClass" / f"{name}.png").rename(
            folder / f"{name}.png"
        )
    sources = voc.load(root)
    for source, name in zip(sources, voc._MASK_FOLDERS, strict=True):
        assert {path.split("/")[-2] for path in source.masks} == {name}
    for name in voc_folder.VAL:
        voc_folder.save_mask(folder / f"{name}.png", voc_folder.make_mask(0))
    (folder / "v0.png").unlink()
    assert "/SegmentationClass/" in voc.load(root)[1].masks[0]


def test_the_first_training_mask_has_the_palette(root):
    other = ((9, 9, 9),) * 3
    for name, number in (("t1", 1), ("v0", 6)):
        path = root / "SegmentationClass" / f"{name}.png"
        voc_folder.save_mask(path, voc_folder.make_mask(number), other)
    for source in voc.load(root):
        assert source.palette.dtype == np.uint8
        np.testing.assert_array_equal(source.palette, voc_folder.PALETTE)


def test_grey_masks_have_the_colors_of_pascal_voc(tmp_path):
    voc_folder.write(tmp_path, palette=None)
    train, _ = voc.load(tmp_path)
    np.testing.assert_array_equal(
        train.palette, [(0, 0, 0), (128, 0, 0), (0, 128, 0)]
    )


def test_the_color_map_is_pascal_vocs():
    colors = voc.color_map()
    assert (colors.dtype, colors.shape) == (np.uint8, (256, 3))
    for index, color in {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        4: (0, 0, 128),
        8: (64, 0, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }.items():
        assert tuple(colors[index]) == color


@pytest.mark.parametrize(
    ("num_classes", "palette", "first", "last"),
    [
        (21, voc.color_map()[:21], "background", "tvmonitor"),
        (21, None, "background", "tvmonitor"),
        (21, voc.color_map()[1:22], "class 0", "class 20"),
        (20, voc.color_map()[:20], "class 0", "class 19"),
    ],
)
def test_names_without_a_file_of_them(
    tmp_path, num_classes, palette, first, last
):
    voc_folder.write(
        tmp_path, classes=None, palette=palette, num_classes=num_classes
    )
    # The largest index occurs in an evaluation mask only.
    for path in (tmp_path / "SegmentationClass").glob("t*.png"):
        mask = np.minimum(np.asarray(Image.open(path)), 2)
        voc_folder.save_mask(path, mask, palette)
    mask = np.full(voc_folder.SIZES[0], num_classes - 1, np.uint8)
    path = tmp_path / "SegmentationClass" / "v0.png"
    voc_folder.save_mask(path, mask, palette)
    for source in voc.load(tmp_path):
        assert source.num_classes == num_classes
        assert (source.label_names[0], source.label_names[-1]) == (first, last)


def test_a_class_that_cannot_be_learned_is_warned_of(root, monkeypatch):
    said = []
    monkeypatch.setattr(voc.logging, "warning", lambda *args: said.append(args))
    voc.load(root)
    assert not said
    names = (*voc_folder.CLASSES, "moon", "sun")
    (root / "classes.txt").write_text("\n".join(names))
    assert voc.load(root)[1].num_classes == 5
    ((template, *values),) = said
    message = template % tuple(values)
    assert message.startswith("2 of 5 classes have no pixel in the masks of")
    assert message.endswith("train.txt and cannot be learned: moon, sun.")


def test_crops_are_those_of_the_numbers(loaded):
    train, _ = loaded
    numbers = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    fill = np.array([1, 2, 3], np.uint8)

    @tf.function
    def fetch(indices, numbers):
        images, masks = train.fetch_crops(indices, numbers, CROPS, fill)
        assert images.shape == (6, 28, 28, 3)
        return images, masks

    fetched = fetch(tf.range(6, dtype=tf.int64), numbers)
    images, masks = train.fetch_crops(np.arange(6), numbers, CROPS, fill)
    np.testing.assert_array_equal(fetched[0], images)
    np.testing.assert_array_equal(fetched[1], masks)
    assert (images.dtype, masks.dtype) == (tf.uint8, tf.int32)
    for number in range(6):
        mask = voc_folder.make_mask(number)
        image, labels = scale_crop.crop(
            voc_folder.paint(mask), mask, numbers[:, number], CROPS, fill
        )
        np.testing.assert_array_equal(images[number], image)
        np.testing.assert_array_equal(masks[number], labels)


def _training(source, **changes):
    settings = {"seed": 3, "epoch": 1, "num_steps": 5, "augmentation": CROPS}
    return pipeline.training_batches(
        source, np.arange(6), 4, **(settings | changes)
    )


def _search(source, **changes):
    return pipeline.search_batches(
        source,
        np.arange(4),
        source,
        np.arange(4, 6),
        2,
        seed=3,
        epoch=1,
        augmentation=CROPS,
        **changes,
    )


def _flat(dataset):
    return [tf.nest.flatten(element) for element in dataset.as_numpy_iterator()]


def _assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def test_training_batches_are_normalised_crops(loaded):
    """Padding of the mean colour is 0, but for its rounding to bytes."""
    train = dataclasses.replace(
        loaded[0],
        mean=np.float32([0.1, 0.2, 0.3]),
        std=np.float32([0.5, 0.6, 0.7]),
    )
    small = scale_crop.Augmentation(80, 1.0, 1.0)
    dataset = _training(train, augmentation=small)
    assert dataset.element_spec == (
        tf.TensorSpec([4, 80, 80, 3], tf.float32),
        tf.TensorSpec([4, 80, 80], tf.int32),
    )
    for images, masks in dataset.as_numpy_iterator():
        colors = np.asarray(voc_folder.COLORS) / 255
        expected = (colors - train.mean) / train.std
        labelled = masks != 255
        np.testing.assert_allclose(
            images[labelled], expected[masks[labelled]], atol=1e-5
        )
        assert labelled.sum(axis=(1, 2)).min() >= 36 * 24 - 16
        padding = images[:, 40:][masks[:, 40:] == 255]
        assert np.abs(padding * train.std).max() <= 0.5 / 255 + 1e-6


def test_both_batches_of_a_search_are_crops(loaded):
    images = tf.TensorSpec([2, 28, 28, 3], tf.float32)
    masks = tf.TensorSpec([2, 28, 28], tf.int32)
    dataset = _search(loaded[0])
    assert dataset.element_spec == ((images, masks), (images, masks))
    assert len(_flat(dataset)) == 2


@pytest.mark.parametrize("make", [_training, _search])
def test_two_replicas_share_each_batch_bit_for_bit(loaded, make):
    whole = _flat(make(loaded[0]))
    parts = _flat(make(loaded[0], num_replicas=2))
    assert len(parts) == 2 * len(whole)
    joined = [
        [np.concatenate(tensors) for tensors in zip(*pair, strict=True)]
        for pair in zip(parts[::2], parts[1::2], strict=True)
    ]
    _assert_same(whole, joined)
    second = _flat(make(loaded[0], num_replicas=2, replicas=[1]))
    _assert_same(parts[1::2], second)


def test_an_epoch_goes_on_bit_for_bit(loaded):
    """Also in its second pass over the six photographs."""
    whole = _flat(_training(loaded[0]))
    assert len(whole) == 5
    _assert_same(whole[3:], _flat(_training(loaded[0], first_step=3)))
    other = _flat(_training(loaded[0], epoch=2))
    assert np.any(whole[0][0] != other[0][0])


def _evaluation(source, batch_size=2, **changes):
    indices = np.arange(source.num_examples)[::-1]
    return pipeline.evaluation_batches_by_size(
        source, indices, batch_size, **changes
    )


def test_evaluation_sees_every_whole_photograph_once(loaded):
    train, _ = loaded  # Sizes alternate; the last photograph comes first.
    dataset = _evaluation(train)
    assert dataset.element_spec == (
        tf.TensorSpec([None, None, None, 3], tf.float32),
        tf.TensorSpec([None, None, None], tf.int32),
        tf.TensorSpec([None], tf.float32),
    )
    batches = list(dataset.as_numpy_iterator())
    assert int(dataset.cardinality()) == len(batches) == 4
    assert [len(weights) for *_, weights in batches] == [2, 1, 2, 1]
    seen = []
    for images, masks, weights in batches:
        assert weights.tolist() == [1.0] * len(images)
        for image, mask in zip(images, masks, strict=True):
            (number,) = [
                i
                for i in range(6)
                if np.array_equal(voc_folder.make_mask(i), mask)
            ]
            colors = voc_folder.paint(mask) / 255
            expected = (colors - train.mean) / train.std
            np.testing.assert_allclose(image, expected, atol=1e-4)
            seen.append(number)
    assert seen == [5, 3, 1, 4, 2, 0]


def test_an_evaluation_batch_is_filled_up_for_the_replicas_only(loaded):
    train, _ = loaded
    whole = _flat(_evaluation(train))
    parts = _flat(_evaluation(train, num_replicas=2))
    assert [len(weights) for *_, weights in parts] == [1] * 8
    weights = np.concatenate([weights for *_, weights in parts])
    np.testing.assert_array_equal(weights, [1, 1, 1, 0, 1, 1, 1, 0])
    kept = [part for part in parts if part[2].all()]
    rows = [
        [x[None] for x in row] for b in whole for row in zip(*b, strict=True)
    ]
    _assert_same(kept, rows)
    _assert_same(parts[2][:2], parts[3][:2])
    second = _flat(_evaluation(train, num_replicas=2, replicas=[1]))
    _assert_same(parts[1::2], second)


def test_nothing_to_evaluate_and_uneven_shares_are_refused(loaded):
    with pytest.raises(ValueError, match="no example to evaluate on"):
        pipeline.evaluation_batches_by_size(loaded[1], np.arange(0), 2)
    with pytest.raises(ValueError, match="3 does not divide among 2 replicas"):
        _evaluation(loaded[1], 3, num_replicas=2)


def test_street_photographs(shared_data):
    train, val = voc.load(shared_data / "camvid")
    assert (train.num_examples, val.num_examples) == (160, 50)
    assert (train.num_classes, val.num_classes) == (11, 11)
    lines = (shared_data / "camvid" / "classes.txt").read_text().split()
    assert list(train.label_names) == lines
    assert np.all(train.sizes == (360, 480))
    assert train.pixel_counts.min() > 10_000
    batches = pipeline.training_batches(
        train,
        np.arange(160),
        4,
        seed=0,
        epoch=0,
        num_steps=3,
        augmentation=scale_crop.Augmentation(128),
    )
    images = np.concatenate([images for images, _ in batches])
    masks = np.concatenate([masks for _, masks in batches])
    assert set(np.unique(masks)) <= {*range(11), 255}
    sky, road = (images[masks == label].mean() for label in (0, 3))
    assert sky > road + 0.5  # It is brighter: masks lie on their photographs.


def _refused(path, *parts, train_list=""):
    with pytest.raises(ValueError) as caught:
        voc.load(path, train_list)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_missing_folder(tmp_path):
    path = tmp_path / "no"
    _refused(path, f"no folder {path}", "JPEGImages/<id>.jpg")


def test_a_folder_of_another_layout(tmp_path):
    _refused(tmp_path, "no folder JPEGImages/; found nothing in it")
    (tmp_path / "photos").mkdir()
    _refused(tmp_path, "found photos", "Expected JPEGImages/<id>.jpg")


def test_no_folder_of_masks(root):
    (root / "SegmentationClass").rename(root / "masks")
    _refused(root, "no folder SegmentationClass/", "SegmentationClass/<id>.png")


def test_a_missing_list(root):
    found = "found train.txt, val.txt. Expected one id"
    _refused(
        root, f"no list {root / LISTS / 'tiny.txt'}", found, train_list="tiny"
    )
    (root / LISTS / "val.txt").unlink()
    _refused(root, f"no list {root / LISTS / 'val.txt'}", "found train.txt.")
    (root / LISTS / "train.txt").unlink()
    _refused(root, "found no list there", "Add the list")


def test_an_empty_list(root):
    voc_folder.write_list(root, "train", ["", " "])
    _refused(root, f"{root / LISTS / 'train.txt'} is empty; expected one")


def test_an_id_twice_in_a_list(root):
    voc_folder.write_list(root, "train", ["t0", "t1", "t0", "t2", "t1"])
    _refused(root, "train.txt has 2 line(s) more than once: t0, t1. Expected")


def test_a_missing_photograph(root):
    for number in range(6):
        path = root / "JPEGImages" / f"t{number}.png"
        path.rename(path.with_suffix(".JPG"))
    _refused(
        root,
        f"{root / 'JPEGImages'} lacks 6 photograph(s)",
        "train.txt: t0, t1, t2, t3, t4 and 1 more. Expected <id> and one of "
        ".jpg, .jpeg, .png, in these letters.",
    )


def test_a_missing_mask(root):
    (root / "SegmentationClass" / "v1.png").unlink()
    folder = root / "SegmentationClass"
    _refused(root, f"{folder} lacks 1 mask(s)", "val.txt: v1.png. Expected")


def test_a_mask_of_another_size(root):
    path = root / "SegmentationClass" / "t0.png"
    voc_folder.save_mask(path, np.zeros((31, 40), np.uint8))
    photograph = root / "JPEGImages" / "t0.png"
    _refused(
        root,
        f"1 mask(s) are of another size than their photograph: {path} has "
        f"40x31 and {photograph} 40x30 pixels. Expected",
    )


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("RGB", "PNG"), ("RGBA", "PNG"), ("1", "PNG"), ("L", "JPEG")],
)
def test_a_mask_of_colors(root, mode, file_format):
    path = root / "SegmentationClass" / "v2.png"
    Image.new(mode, voc_folder.SIZES[0][::-1]).save(path, file_format)
    _refused(
        root,
        f"1 mask(s) have no class indices: {path} is a {file_format} of mode "
        f"{mode}. Expected palette or grey PNG files of class indices",
    )


def test_an_index_beyond_the_classes(root):
    mask = voc_folder.make_mask(7)
    mask[0, 0] = 7
    path = root / "SegmentationClass" / "v1.png"
    voc_folder.save_mask(path, mask)
    _refused(
        root,
        f"1 mask(s) have an index beyond the 3 classes of "
        f"{root / 'classes.txt'}: {path} has 7. Expected 0 to 2, and 255",
    )


def test_one_class(root):
    (root / "classes.txt").unlink()
    for path in (root / "SegmentationClass").iterdir():
        mask = np.asarray(Image.open(path))
        voc_folder.save_mask(path, np.where(mask == 255, mask, 0), None)
    _refused(root, f"{root} has 1 class(es); expected 2 to 255")


@pytest.mark.parametrize("name", ["train", "val"])
def test_no_labelled_pixel(root, name):
    for path in (root / "SegmentationClass").glob(f"{name[0]}*.png"):
        mask = np.full_like(np.asarray(Image.open(path)), 255)
        voc_folder.save_mask(path, mask)
    _refused(root, f"No pixel of the masks of {root / LISTS / name}.txt is lab")


def test_a_photograph_in_both_lists(root):
    voc_folder.write_list(root, "val", [*voc_folder.VAL, "t5", "t2"])
    _refused(root, "share 2 id(s): t2, t5. Expected none", "trained on")


@pytest.mark.parametrize("folder", ["JPEGImages", "SegmentationClass"])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_broken_file(root, folder, share):
    path = root / folder / "t3.png"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    _refused(root, "1 image(s) cannot be decoded", str(path), "Replace or rem")


@pytest.mark.parametrize("folder", ["JPEGImages", "SegmentationClass"])
def test_a_file_that_breaks_later_is_named_by_the_step(root, folder):
    train, _ = voc.load(root)
    (root / folder / "t3.png").write_bytes(b"")
    with pytest.raises(tf.errors.OpError, match=rf"{folder}/t3\.png"):
        list(_training(train))
