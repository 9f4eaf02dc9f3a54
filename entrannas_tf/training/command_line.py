"""Flags, messages and exit codes of the programs in launch/.

Each of these ends in one line on the standard error: a user's mistake with exit
code 2, a run that fails with code 3, Ctrl-C with code 130, SIGTERM, after a
checkpoint, with code 75, the loss of another worker with code 69. The same
command resumes after the last three. Anything else is a fault of the software
and shows its traceback, as the first two do after `--verbosity=1`.
"""

import contextlib
import faulthandler
import logging as python_logging
import os
import re
import sys
import tempfile

from absl import app, flags, logging

from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.training import interruptions

_BAD_INPUT = 2
_FAILED = 3
_INTERRUPTED = 128 + 2  # By SIGINT, as shells have it.
_PREEMPTED = os.EX_TEMPFAIL
_WORKER_LOST = os.EX_UNAVAILABLE

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def quiet_loading():
    """Hides the messages of TensorFlow's import, unless it fails.

    They say that there is no GPU and which processor it was built for, from
    C++ and before its log level counts. Set TF_CPP_MIN_LOG_LEVEL to see them.
    """
    if _LEVEL in os.environ:
        yield
        return
    os.environ[_LEVEL] = "3"  # From here on only what ends the program.
    sys.stderr.flush()
    stderr = os.dup(2)
    # A crash of the native code would otherwise leave no word.
    faulthandler.enable(stderr)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException as error:
            held.seek(0)
            if isinstance(error, KeyboardInterrupt):
                os.dup2(stderr, 2)
                _fail(_INTERRUPTED, "Interrupted while loading.")
            os.write(stderr, held.read())
            raise
        finally:
            faulthandler.disable()
            os.dup2(stderr, 2)
            os.close(stderr)


def run(main, required, config_kind=search_config.Config):
    """Parses the command line, runs `main` and ends the program.

    Args:
        main: Called without arguments when the flags are parsed. A ValueError
            or OSError means bad input, a FloatingPointError or an
            `interruptions.RunFailed` a run that failed.
        required: Names of the flags that must be given. "config" is a flag of
            `config_flags.DEFINE_config_file`.
        config_kind: The class of the configuration.
    """
    python_logging.getLogger("tensorflow").setLevel("ERROR")
    try:
        app.run(
            lambda _: _run_main(main),
            flags_parser=lambda argv: _parse(argv, required, config_kind),
        )
    except KeyboardInterrupt:
        _fail(
            _INTERRUPTED,
            "Interrupted. The same command goes on from the last checkpoint.",
        )


def _run_main(main):
    handler = logging.get_absl_handler().python_handler
    handler.setFormatter(python_logging.Formatter("%(message)s"))
    if logging.get_verbosity() <= logging.INFO:
        handler.addFilter(_is_for_users)
    try:
        main()
    except interruptions.Preempted:
        _fail(
            _PREEMPTED,
            "Ended by SIGTERM. The same command goes on from the checkpoint.",
        )
    except interruptions.WorkerLost as error:
        logging.debug("A worker was lost.", exc_info=True)
        _fail(_WORKER_LOST, error)
    except (FloatingPointError, interruptions.RunFailed) as error:
        logging.debug("The run failed.", exc_info=True)
        _fail(_FAILED, error)
    except (ValueError, OSError) as error:
        logging.debug("The input is bad.", exc_info=True)
        _fail(_BAD_INPUT, error)


def _is_for_users(record):
    """Leaves out the messages of libraries, such as tensorflow-datasets."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    is_ours = os.path.abspath(record.pathname).startswith(package + os.sep)
    return is_ours or record.levelno >= python_logging.WARNING


def _fail(code, reason):
    """Prints a reason in one line and ends the program."""
    if isinstance(reason, OSError) and reason.filename and reason.strerror:
        reason = f"{os.fspath(reason.filename)}: {reason.strerror}."
    print(" ".join(str(reason).split()), file=sys.stderr)
    sys.exit(code)


def _parse(argv, required, config_kind):
    """Parses the flags; ends the program on a mistake, with its reason."""
    try:
        if "config" in required:
            _check_overrides(argv, config_kind)
        rest = flags.FLAGS(argv)
        _check_flags(rest, required)
    except flags.Error as error:
        _fail(_BAD_INPUT, _explain(error, config_kind))
    except (ValueError, OSError) as error:
        _fail(_BAD_INPUT, error)
    except Exception as error:  # Anything may happen in a configuration file.
        _fail(
            _BAD_INPUT,
            f"The configuration cannot be loaded: {type(error).__name__}: "
            f"{error}",
        )
    return rest


def _check_overrides(argv, config_kind):
    """Raises ValueError for --config.FIELD that does not exist."""
    given = any(re.match(r"--?config(=|$)", arg) for arg in argv)
    for arg in argv[1:]:
        override = re.match(r"--?(?:no)?config\.([^=]*)", arg)
        if override:
            schema.expected_type(config_kind, override[1])
            if not given:
                raise ValueError(_missing("config"))


def _check_flags(rest, required):
    """Raises ValueError for a flag that is missing or an odd argument."""
    for name in required:
        if flags.FLAGS[name].value in (None, ""):
            raise ValueError(_missing(name))
    if rest[1:]:
        raise ValueError(
            f"Unexpected argument {rest[1]!r}; expected --flag=value."
        )
    if "config" in required:
        path = flags.FLAGS["config"].config_filename.partition(":")[0]
        if not os.path.isfile(path):
            raise ValueError(
                f"There is no configuration file {path!r}; expected one such "
                "as configs/digits.py, in the directory you are in."
            )
        try:
            # A file that could not be read raises OSError when it is used.
            getattr(flags.FLAGS.config, "name", None)
        except OSError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise ValueError(f"{path} cannot be loaded: {reason}.") from None


def _missing(name):
    example = {
        "config": "configs/digits.py",
        "workdir": "runs/digits",
        "genotype": "DARTS_V2",
    }
    return f"Missing --{name}; expected --{name}={example.get(name, 'VALUE')}."


def _explain(error, config_kind):
    """Returns what a flag's error says, with what was expected."""
    text = str(error).strip()
    if "Traceback" in text:  # Of the configuration file; its end says it.
        flag, *_, reason = text.splitlines()
        return f"{flag.partition(': ')[0]}: {reason}"
    field = re.match(r"flag --config\.([\w.]+)=", text)
    if field:
        expected = schema.expected_type(config_kind, field[1])
        return f"{text}; expected {expected}."
    return text
