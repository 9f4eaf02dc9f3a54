"""Each kind of mistake gets one line and its exit code.

The programs run on their own, for flags are parsed once in a process; they
leave TensorFlow alone and start fast.
"""

import os
import subprocess
import sys

import pytest

from tests.support import programs

ROOT = programs.ROOT
CONFIG = "configs/digits.py"
DIGITS = f"--config={CONFIG}"
WORKDIR = "--workdir=nowhere"

PROGRAM = """
from absl import flags, logging
from ml_collections import config_flags

from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.training import command_line, interruptions

CONFIG = config_flags.DEFINE_config_file("config")
WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run.")
ENDS = {
    "nan": FloatingPointError("The loss is NaN\\nin step 3."),
    "full": OSError(28, "No space left on device", "metrics.jsonl"),
    "failed": interruptions.RunFailed("All trials failed."),
    "bug": RuntimeError("A fault of ours."),
    "interrupt": KeyboardInterrupt(),
}

def main():
    made = schema.read(search_config.Config, CONFIG.value)
    if made.name in ENDS:
        raise ENDS[made.name]
    print(WORKDIR.value, made.search.epochs, made.data.flip)
    ours = compile("logging.info('Ours.')", command_line.__file__, "exec")
    exec(ours)
    logging.info("A library's affair.")
    logging.warning("Mind the skips.")

command_line.run(main, required=("config", "workdir"))
"""


def run(*args, program=PROGRAM, **environment):
    """Runs a program in the repository's root."""
    inherited = dict(os.environ)
    inherited.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, args)],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_program_runs():
    done = run(
        DIGITS, WORKDIR, "--config.search.epochs", 3, "--config.data.flip"
    )
    assert done.stderr == "Ours.\nMind the skips.\n"
    assert (done.returncode, done.stdout) == (0, "nowhere 3 True\n")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ([], "Missing --config; expected --config=configs/digits.py."),
        (
            [WORKDIR, "--config.search.epochs=3"],
            "Missing --config; expected --config=configs/digits.py.",
        ),
        ([DIGITS], "Missing --workdir; expected --workdir=runs/digits."),
        (
            [DIGITS, "--workdir="],
            "Missing --workdir; expected --workdir=runs/digits.",
        ),
        (
            ["--config=configs/digit.py", WORKDIR],
            "There is no configuration file 'configs/digit.py'; expected one "
            "such as configs/digits.py, in the directory you are in.",
        ),
        (
            ["--config=configs", WORKDIR],
            "There is no configuration file 'configs'; expected one "
            "such as configs/digits.py, in the directory you are in.",
        ),
        (
            [DIGITS, WORKDIR, "--config.search.epoch=2"],
            "Unknown field search.epoch; did you mean search.epochs? The "
            "fields of search are epochs, batch_size, eval_every_epochs, "
            "weight_decay, gradient_clip_norm, precision, xla, "
            "read_every_steps, checkpoint_every_steps, checkpoints_to_keep, "
            "architecture, num_candidates, weight_learning_rate, "
            "weight_momentum, architecture_learning_rate, "
            "architecture_warmup_epochs, architecture_schedule, "
            "architecture_beta_1, architecture_beta_2, "
            "architecture_weight_decay, architecture_order, "
            "skip_dropout_rate, threshold_penalty, "
            "initial_temperature, temperature_decay, max_graphs, "
            "graph_after_steps.",
        ),
        (
            [DIGITS, WORKDIR, "--config.network.space.x=2"],
            "Unknown field network.space.x: network.space is a text and has "
            "no fields.",
        ),
        (
            [DIGITS, WORKDIR, "--config.search.epochs=two"],
            "flag --config.search.epochs=two: invalid literal for int() with "
            "base 10: 'two'; expected an integer.",
        ),
        (
            [DIGITS, WORKDIR, "--config.data.flip=3"],
            "flag --config.data.flip=3: ('Non-boolean argument to boolean "
            "flag', '3'); expected true or false.",
        ),
        (
            [DIGITS, WORKDIR, "--config.search.epochs=0"],
            "search.epochs is 0; expected 1 or more.",
        ),
        (
            [DIGITS, WORKDIR, "--config.data={'name': 'digits', 'flop': 1}"],
            "Unknown field data.flop; did you mean data.flip? The fields of "
            "data are name, data_dir, dir, num_examples, image_size, "
            "crop_padding, flip, cutout_length, "
            "min_crop_area, color_jitter, weight_fraction, "
            "architecture_fraction.",
        ),
        (
            ["--config.search.epochs=3", DIGITS, WORKDIR],
            "Found --config.search.epochs=3 in argv before a value for "
            "--config was specified",
        ),
        (
            [DIGITS, WORKDIR, "--wordir=a"],
            "Unknown command line flag 'wordir'. Did you mean: workdir ?",
        ),
        (
            [DIGITS, WORKDIR, "a"],
            "Unexpected argument 'a'; expected --flag=value.",
        ),
        (
            ["--config=configs/folder.py", WORKDIR],
            "data.dir is empty; expected the folder of your images, which "
            "holds train/<class>/<image>: --config.data.dir=PATH.",
        ),
        (
            [DIGITS, WORKDIR, "--config.name=full"],
            "metrics.jsonl: No space left on device.",
        ),
    ],
)
def test_bad_input(args, line):
    done = run(*args)
    assert done.stderr == line + "\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def get_config(:", "cannot be loaded: SyntaxError: invalid syntax"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("x = 1", "AttributeError: module 'config_config' has no attribute"),
        ("def get_config(): return {}['a']", "KeyError: 'a'"),
        ("def get_config(): raise ValueError('oh')", "ValueError: oh"),
        ("open('nowhere')", "mine.py cannot be loaded: [Errno 2] No such"),
        ("def get_config(): return 3", "is int; expected a ConfigDict"),
    ],
)
def test_bad_configuration_file(tmp_path, text, line):
    path = tmp_path / "mine.py"
    path.write_text(text)
    done = run(f"--config={path}", WORKDIR)
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2


def test_a_failed_search():
    done = run(DIGITS, WORKDIR, "--config.name=nan")
    assert done.stderr == "The loss is NaN in step 3.\n"
    assert done.returncode == 3
    done = run(DIGITS, WORKDIR, "--config.name=failed")
    assert done.stderr == "All trials failed.\n"
    assert done.returncode == 3


def test_a_traceback_for_who_asks():
    done = run(DIGITS, WORKDIR, "--config.name=nan", "--verbosity=1")
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("\nThe loss is NaN in step 3.\n")


def test_all_words_for_who_asks():
    done = run(DIGITS, WORKDIR, "--verbosity=1")
    assert done.stderr == "Ours.\nA library's affair.\nMind the skips.\n"


def test_an_interrupt():
    done = run(DIGITS, WORKDIR, "--config.name=interrupt")
    assert done.stderr == (
        "Interrupted. The same command goes on from the last checkpoint.\n"
    )
    assert done.returncode == 130


def test_a_fault_of_ours_shows_where():
    done = run(DIGITS, WORKDIR, "--config.name=bug")
    assert "Traceback" in done.stderr
    assert "A fault of ours." in done.stderr
    assert done.returncode == 1


LOADING = """
import os, sys
from entrannas_tf.training import command_line
with command_line.quiet_loading():
    os.write(2, b"Could not find cuda drivers.\\n")
    {then}
os.write(2, b"Loaded.\\n")
"""


def test_loading_is_quiet():
    done = run(program=LOADING.format(then="pass"))
    assert (done.returncode, done.stderr) == (0, "Loaded.\n")


def test_loading_is_not_quiet_for_who_asks():
    program = LOADING.format(then="pass")
    done = run(program=program, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.stderr == "Could not find cuda drivers.\nLoaded.\n"


def test_failed_loading_tells_all():
    done = run(program=LOADING.format(then="import nowhere"))
    assert done.stderr.startswith("Could not find cuda drivers.\nTraceback")
    assert "No module named 'nowhere'" in done.stderr
    assert done.returncode == 1


def test_crashed_loading_says_where():
    done = run(program=LOADING.format(then="os.abort()"))
    assert "Fatal Python error: Aborted" in done.stderr
    assert done.returncode < 0


def test_interrupted_loading():
    done = run(program=LOADING.format(then="raise KeyboardInterrupt"))
    assert (done.returncode, done.stderr) == (
        130,
        "Interrupted while loading.\n",
    )
