"""README.md and docs/: every command, Python block and link is right.

Commands are run up to the call of the library, see `dry_run`. The Python blocks
and the commands of README are run as a whole by the long tests, in one
directory, with toy configurations in place of those of the digits.
"""

import copy
import functools
import re
from unittest import mock

import keras
import matplotlib.image
import pytest
from sklearn import datasets

import entrannas_tf
from configs import digits, retrain_digits
from entrannas_tf.architecture import operations
from entrannas_tf.search import methods
from tests.support import (
    documents,
    programs,
    toy_config,
    toy_retrain_config,
)

COMMANDS = [
    pytest.param(command, id=f"{command.path}:{' '.join(command.words[2:4])}")
    for path in documents.PATHS
    for command in documents.commands(path)
    if command.launcher
]
BLOCKS = [block for path in documents.PATHS for block in documents.blocks(path)]
PYTHON_PATHS = sorted({b.path for b in BLOCKS if b.language == "python"})

# What the commands are given to be done in seconds, by their launcher.
TOY_FLAGS = {
    "launch.search": [
        "--config.data.image_size=16",
        "--config.network.space=tiny",
        "--config.network.num_intermediate_nodes=1",
        "--config.network.num_cells=3",
        "--config.network.init_channels=4",
        "--config.search.epochs=1",
        "--config.search.batch_size=8",
    ],
    "launch.retrain": [
        "--config.data.image_size=16",
        "--config.network.num_cells=3",
        "--config.network.init_channels=4",
        "--config.training.epochs=1",
        "--config.training.batch_size=8",
        "--config.training.auxiliary_weight=0.0",
    ],
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A directory like the repository's root, with the files to be saved."""
    directory = tmp_path_factory.mktemp("checkout")
    (directory / "configs").symlink_to(documents.ROOT / "configs")
    for block in BLOCKS:
        if block.file:
            (directory / block.file).write_text(block.text)
    return directory


def test_readme_is_short():
    assert documents.read("README.md").count("\n") <= 150


@pytest.mark.parametrize("path", documents.PATHS)
def test_links_lead_somewhere(path):
    document = documents.ROOT / path
    for link in documents.links(path):
        target, _, anchor = link.partition("#")
        found = document.parent / target if target else document
        assert found.exists(), link
        assert not anchor or anchor in documents.anchors(found), link


@pytest.mark.parametrize("path", documents.PATHS)
def test_files_that_are_named_are_there(path):
    names = re.findall(r"[\w/]+/\w+\.py", documents.read(path))
    for name in names:
        places = (documents.ROOT, documents.ROOT / "entrannas_tf")
        assert any((place / name).exists() for place in places), name


def test_blocks_are_of_known_languages():
    assert {block.language for block in BLOCKS} <= {"python", "sh", "text"}


def test_other_commands_are_known():
    makefile = (documents.ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for path in documents.PATHS:
        for command in documents.commands(path):
            match command.words:
                case ("make", target):
                    assert target in targets
                case ("tfds", "build", "cifar10" | "imagenet2012", _):
                    pass
                case ("export", *_) | ("wait",) | ("python", "-m", *_):
                    pass
                case words:
                    pytest.fail(f"{path}: no test knows {words}")


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command, checkout):
    args = checkout, command.launcher, *command.flags
    done = programs.run("-m", "tests.support.dry_run", *args)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "flag",
    [
        "--methods=darts",
        "--config.search.epoch=2",
        "--config.search.epochs=0",
        "--config.search.epochs=two",
    ],
)
def test_a_wrong_command_fails(flag, checkout):
    flags = "--config=configs/digits.py", "--workdir=runs/digits", flag
    args = checkout, "launch.search", *flags
    assert programs.run("-m", "tests.support.dry_run", *args).returncode == 2


@pytest.fixture(scope="module")
def user(tmp_path_factory, checkout):
    """A directory in which the six commands of README have been run."""
    data = datasets.load_digits()
    for label in (0, 1):
        folder = checkout / "photos" / "train" / f"class_{label}"
        folder.mkdir(parents=True)
        for number, image in enumerate(data.images[data.target == label][:24]):
            matplotlib.image.imsave(folder / f"{number}.png", image)
    for name in ("cat.jpg", "dog.png"):
        matplotlib.image.imsave(checkout / name, data.images[0])
    for command in documents.commands("README.md"):
        if command.launcher:
            flags = *command.flags, *TOY_FLAGS.get(command.launcher, ())
            run(checkout, command.launcher, *flags)
    return checkout


def run(directory, launcher, *flags):
    """Runs a launcher in a directory; returns what it printed."""
    program = (
        "import os, runpy, sys\n"
        "directory, launcher, *flags = sys.argv[1:]\n"
        "os.chdir(directory)\n"
        "sys.argv = [launcher, *flags]\n"
        "runpy.run_module(launcher, run_name='__main__', alter_sys=True)"
    )
    done = programs.run("-c", program, directory, launcher, *flags, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_the_six_commands_of_readme(user):
    assert (user / "runs/mine_cells/normal.png").exists()
    assert keras.models.load_model(user / "runs/mine_model/model.keras")
    flags = "--model=runs/mine_model", "--images=cat.jpg,dog.png"
    cat, dog = run(user, "launch.classify", *flags).splitlines()
    assert cat.startswith("cat.jpg: class_")
    assert dog.startswith("dog.png: class_")


@pytest.mark.long
@pytest.mark.parametrize("path", PYTHON_PATHS)
def test_python_blocks(path, checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    search, retraining = (
        toy_config.get_config(),
        toy_retrain_config.get_config(),
    )
    search.network.num_intermediate_nodes = 1
    search.search.epochs = retraining.training.epochs = 1
    for experiment, toy in ((digits, search), (retrain_digits, retraining)):
        made = functools.partial(copy.deepcopy, toy)
        monkeypatch.setattr(experiment, "get_config", made)
    if path == "docs/retraining.md":  # Which loads an export.
        config = retrain_digits.get_config()
        entrannas_tf.retrain(config, "DARTS_V2", "runs/digits_net")
        entrannas_tf.export("runs/digits_net", "model")
    namespace = {}
    # What the documents add to these tables must not reach other tests.
    with (
        mock.patch.dict(operations.OPERATIONS),
        mock.patch.dict(methods.METHODS),
    ):
        for block in BLOCKS:
            if block.path == path and block.language == "python":
                where = f"{path}:{block.line}"
                exec(compile(block.text, where, "exec"), namespace)
