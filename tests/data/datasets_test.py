import numpy as np
import pytest
from PIL import Image

from entrannas_tf.data import datasets


def make_folder(root, splits, size=(12, 8)):
    for split, counts in splits.items():
        for name, count in counts.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", size, (number, 0, 0))
                image.save(root / split / name / f"{number}.png")
    return str(root)


def test_digits():
    train, val, indices = datasets.load("digits", num_examples=100)
    assert (train.name, len(indices)) == ("digits/train", 100)
    assert (val.name, val.num_examples) == ("digits/test", 360)
    data = datasets.halve(train, None, indices, 0.5, seed=3)
    assert data.source_w is data.source_a is train
    together = np.concatenate([data.indices_w, data.indices_a])
    np.testing.assert_array_equal(np.sort(together), indices)
    again = datasets.halve(train, None, indices, 0.5, seed=3)
    np.testing.assert_array_equal(data.indices_w, again.indices_w)


@pytest.mark.parametrize(
    ("size", "side"), [(0, 16), (16, 16), (8, 8), (20, 20)]
)
def test_digits_resized(size, side):
    train, test, _ = datasets.load("digits", image_size=size)
    assert train.image_shape == test.image_shape == (side, side, 1)
    assert train.num_examples == 1437
    np.testing.assert_array_equal(train.mean, test.mean)


def test_more_examples_than_there_are():
    assert len(datasets.load("digits", num_examples=10**6)[2]) == 1437


def test_cifar10(shared_data):
    train, test, indices = datasets.load(
        "cifar10", data_dir=str(shared_data / "tfds"), num_examples=50
    )
    assert (train.num_examples, len(indices)) == (50, 50)
    assert test.num_examples == 10_000
    assert train.num_classes == 10


def test_val_of_a_folder_trains_the_architecture(tmp_path):
    counts = {"train": {"a": 4, "b": 4}, "val": {"a": 1, "b": 2}}
    root = make_folder(tmp_path, counts)
    train, val, indices = datasets.load("folder", directory=root)
    data = datasets.halve(train, val, indices, 0.5, seed=0)
    assert (len(data.indices_w), data.source_a.name) == (
        8,
        f"{tmp_path.name}/val",
    )
    np.testing.assert_array_equal(data.indices_a, np.arange(3))


def test_a_retraining_has_all_training_images(tmp_path):
    train, test, indices = datasets.load("digits", num_examples=100)
    data = datasets.for_retraining(train, test, indices, 0.9)
    np.testing.assert_array_equal(data.indices, np.arange(100))
    np.testing.assert_array_equal(data.test_indices, np.arange(360))
    root = make_folder(tmp_path, {"train": {"a": 8, "b": 4}})
    train, test, indices = datasets.load("folder", directory=root)
    data = datasets.for_retraining(train, test, indices, 0.75)
    assert np.bincount(train.labels[data.indices]).tolist() == [6, 3]
    together = np.concatenate([data.indices, data.test_indices])
    np.testing.assert_array_equal(np.sort(together), indices)
    with pytest.raises(ValueError, match=r"1 of 2 classes have none"):
        datasets.for_retraining(train, test, indices[:8], 0.75)


def test_a_retraining_may_hold_images_out(tmp_path):
    train, test, indices = datasets.load("digits")
    data = datasets.for_retraining(train, test, indices, 0.9, 0.25)
    assert data.test_source is data.source is train
    assert (len(data.indices), len(data.test_indices)) == (1078, 359)
    together = np.concatenate([data.indices, data.test_indices])
    np.testing.assert_array_equal(np.sort(together), indices)


def test_a_folder_without_val_still_keeps_its_test_images(tmp_path):
    root = make_folder(tmp_path, {"train": {"a": 20, "b": 20}})
    train, test, indices = datasets.load("folder", directory=root)
    tested = datasets.for_retraining(train, test, indices, 0.75)
    chosen = datasets.for_retraining(train, test, indices, 0.75, 0.2)
    assert (len(chosen.indices), len(chosen.test_indices)) == (24, 6)
    seen = {*chosen.indices, *chosen.test_indices}
    assert not seen & set(tested.test_indices)


def test_some_of_a_folder_are_of_all_classes(tmp_path):
    root = make_folder(tmp_path, {"train": {"a": 8, "b": 8, "c": 8}})
    train, _, indices = datasets.load(
        "folder", directory=root, num_examples=6, image_size=8
    )
    assert train.image_shape == (8, 8, 3)
    assert np.bincount(train.labels[indices]).tolist() == [2, 2, 2]


def test_classes_without_images_are_named(tmp_path):
    root = make_folder(tmp_path, {"train": {"a": 1, "b": 4, "c": 4}})
    train, val, _ = datasets.load("folder", directory=root)
    with pytest.raises(ValueError, match=r"1 of 3 classes .* 4 images used: c"):
        datasets.halve(train, val, np.arange(4), 0.5, 0)
    with pytest.raises(ValueError, match=r"Class a has 1 example\(s\)"):
        datasets.halve(train, val, np.arange(9), 0.5, 0)


@pytest.mark.parametrize("shape", [(3, 8, 1), (8, 3, 3)])
def test_images_too_small(shape):
    with pytest.raises(ValueError) as caught:
        datasets.check_size(shape, 2)
    assert str(caught.value) == (
        f"The images have {shape[1]}x{shape[0]} pixels, too small for 2 "
        "reductions, each of which halves them; expected 4x4 pixels or more: "
        "--config.data.image_size enlarges them."
    )


def test_images_large_enough():
    datasets.check_size((4, 4, 1), 2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.5, 0.8])
def test_halves_are_disjoint_complete_and_stratified(seed, fraction):
    labels = np.random.default_rng(seed).integers(0, 7, 500)
    weight, validation = datasets.halves(labels, fraction, seed)
    assert weight.dtype == validation.dtype == np.int64
    together = np.concatenate([weight, validation])
    np.testing.assert_array_equal(np.sort(together), np.arange(500))
    share = np.bincount(labels[weight]) / np.bincount(labels)
    np.testing.assert_allclose(share, fraction, atol=0.02)
    assert np.any(np.diff(weight) < 0)
    assert np.any(np.diff(labels[weight]) < 0)


def test_the_seed_decides():
    labels = np.arange(100) % 4
    first, again, other = (
        datasets.halves(labels, 0.5, s)[0] for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_a_class_with_one_example_is_named():
    with pytest.raises(ValueError, match=r"Class 2 has 1 example\(s\)"):
        datasets.halves([0, 0, 1, 1, 2], 0.5, 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match="expected a number between 0 and 1"):
        datasets.halves([0, 0, 1, 1], fraction, 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_architecture_may_have_a_part_of_the_rest(seed):
    labels = np.random.default_rng(seed).integers(0, 7, 700)
    weight, validation = datasets.halves(labels, 0.1, seed, other_fraction=0.2)
    assert not set(weight) & set(validation)
    for half, fraction in ((weight, 0.1), (validation, 0.2)):
        share = np.bincount(labels[half]) / np.bincount(labels)
        np.testing.assert_allclose(share, fraction, atol=0.01)
    whole_weight, rest = datasets.halves(labels, 0.1, seed)
    assert set(weight) == set(whole_weight)
    assert set(validation) < set(rest)


def test_two_shares_may_be_all():
    labels = np.arange(70) % 7
    weight, validation = datasets.halves(labels, 0.7, 0, other_fraction=0.3)
    assert sorted([*weight, *validation]) == list(range(70))


@pytest.mark.parametrize("fraction", [0.6, -0.1, float("nan")])
def test_two_shares_that_are_too_much_are_refused(fraction):
    with pytest.raises(ValueError, match=r"half 0\.5; expected 0 or more, and"):
        datasets.halves([0, 0, 1, 1], 0.5, 0, other_fraction=fraction)
