import numpy as np
import pytest
from PIL import Image

from entrannas_tf.data import loading


def make_folder(root, splits, size=(12, 8)):
    for split, counts in splits.items():
        for name, count in counts.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", size, (number, 0, 0))
                image.save(root / split / name / f"{number}.png")
    return str(root)


def test_digits():
    train, val, indices = loading.load("digits", num_examples=100)
    assert (train.name, len(indices)) == ("digits/train", 100)
    assert (val.name, val.num_examples) == ("digits/test", 360)
    data = loading.halve(train, None, indices, 0.5, seed=3)
    assert data.source_w is data.source_a is train
    together = np.concatenate([data.indices_w, data.indices_a])
    np.testing.assert_array_equal(np.sort(together), indices)
    again = loading.halve(train, None, indices, 0.5, seed=3)
    np.testing.assert_array_equal(data.indices_w, again.indices_w)


@pytest.mark.parametrize(
    ("size", "side"), [(0, 16), (16, 16), (8, 8), (20, 20)]
)
def test_digits_resized(size, side):
    train, test, _ = loading.load("digits", image_size=size)
    assert train.image_shape == test.image_shape == (side, side, 1)
    assert train.num_examples == 1437
    np.testing.assert_array_equal(train.mean, test.mean)


def test_more_examples_than_there_are():
    assert len(loading.load("digits", num_examples=10**6)[2]) == 1437


def test_cifar10(shared_data):
    train, test, indices = loading.load(
        "cifar10", data_dir=str(shared_data / "tfds"), num_examples=50
    )
    assert (train.num_examples, len(indices)) == (50, 50)
    assert test.num_examples == 10_000
    assert train.num_classes == 10


def test_val_of_a_folder_trains_the_architecture(tmp_path):
    counts = {"train": {"a": 4, "b": 4}, "val": {"a": 1, "b": 2}}
    root = make_folder(tmp_path, counts)
    train, val, indices = loading.load("folder", directory=root)
    data = loading.halve(train, val, indices, 0.5, seed=0)
    assert (len(data.indices_w), data.source_a.name) == (
        8,
        f"{tmp_path.name}/val",
    )
    np.testing.assert_array_equal(data.indices_a, np.arange(3))


def test_a_retraining_has_all_training_images(tmp_path):
    train, test, indices = loading.load("digits", num_examples=100)
    data = loading.for_retraining(train, test, indices, 0.9)
    np.testing.assert_array_equal(data.indices, np.arange(100))
    np.testing.assert_array_equal(data.test_indices, np.arange(360))
    root = make_folder(tmp_path, {"train": {"a": 8, "b": 4}})
    train, test, indices = loading.load("folder", directory=root)
    data = loading.for_retraining(train, test, indices, 0.75)
    assert np.bincount(train.labels[data.indices]).tolist() == [6, 3]
    together = np.concatenate([data.indices, data.test_indices])
    np.testing.assert_array_equal(np.sort(together), indices)
    with pytest.raises(ValueError, match=r"1 of 2 classes have none"):
        loading.for_retraining(train, test, indices[:8], 0.75)


def test_a_retraining_may_hold_images_out(tmp_path):
    train, test, indices = loading.load("digits")
    data = loading.for_retraining(train, test, indices, 0.9, 0.25)
    assert data.test_source is data.source is train
    assert (len(data.indices), len(data.test_indices)) == (1078, 359)
    together = np.concatenate([data.indices, data.test_indices])
    np.testing.assert_array_equal(np.sort(together), indices)


def test_a_folder_without_val_still_keeps_its_test_images(tmp_path):
    root = make_folder(tmp_path, {"train": {"a": 20, "b": 20}})
    train, test, indices = loading.load("folder", directory=root)
    tested = loading.for_retraining(train, test, indices, 0.75)
    chosen = loading.for_retraining(train, test, indices, 0.75, 0.2)
    assert (len(chosen.indices), len(chosen.test_indices)) == (24, 6)
    seen = {*chosen.indices, *chosen.test_indices}
    assert not seen & set(tested.test_indices)


def test_some_of_a_folder_are_of_all_classes(tmp_path):
    root = make_folder(tmp_path, {"train": {"a": 8, "b": 8, "c": 8}})
    train, _, indices = loading.load(
        "folder", directory=root, num_examples=6, image_size=8
    )
    assert train.image_shape == (8, 8, 3)
    assert np.bincount(train.labels[indices]).tolist() == [2, 2, 2]


def test_classes_without_images_are_named(tmp_path):
    root = make_folder(tmp_path, {"train": {"a": 1, "b": 4, "c": 4}})
    train, val, _ = loading.load("folder", directory=root)
    with pytest.raises(ValueError, match=r"1 of 3 classes .* 4 images used: c"):
        loading.halve(train, val, np.arange(4), 0.5, 0)
    with pytest.raises(ValueError, match=r"Class a has 1 example\(s\)"):
        loading.halve(train, val, np.arange(9), 0.5, 0)


@pytest.mark.parametrize("shape", [(3, 8, 1), (8, 3, 3)])
def test_images_too_small(shape):
    with pytest.raises(ValueError) as caught:
        loading.check_size(shape, 2)
    assert str(caught.value) == (
        f"The images have {shape[1]}x{shape[0]} pixels, too small for 2 "
        "reductions, each of which halves them; expected 4x4 pixels or more: "
        "--config.data.image_size enlarges them."
    )


def test_images_large_enough():
    loading.check_size((4, 4, 1), 2)
