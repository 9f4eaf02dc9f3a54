"""Fixtures that several test modules share."""

import os
import pathlib

import pytest
import tensorflow as tf

from tests.support import tfds_imagenet

# Two CPU devices for MirroredStrategy; only possible before TensorFlow starts.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)


@pytest.hookimpl(tryfirst=True)  # Before `-m` takes tests away.
def pytest_collection_modifyitems(items):
    """Puts the files that have long tests first: none is left over at the end.

    Several processes share the files out, and each ends with small ones.
    """
    slow = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared_data():
    """Folder with the real data sets, or a skip where it is missing."""
    repository = pathlib.Path(__file__).resolve().parents[1]
    beside = repository.parent / "shared" / "data"
    folder = pathlib.Path(os.environ.get("ENTRANNAS_DATA", beside))
    if not folder.is_dir():
        pytest.skip(
            f"no data sets in {folder}; ENTRANNAS_DATA names another folder"
        )
    return folder


@pytest.fixture(scope="session")
def imagenet_dir(tmp_path_factory):
    """Directory of tensorflow-datasets that holds a small ImageNet."""
    directory = tmp_path_factory.mktemp("tfds")
    tfds_imagenet.write(directory)
    return directory
