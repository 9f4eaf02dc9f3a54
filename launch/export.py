"""Exports a trained network as a SavedModel or a LiteRT file.

python -m launch.export --workdir=runs/c10_net --output=model/

The export is reloaded and compared with the network on test images; README.md
beside it is its model card.
"""

from absl import flags

from entrannas_tf.training import command_line

with command_line.quiet_loading():
    from entrannas_tf.retraining import export

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of a retraining that has ended."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory to write, which must not be there yet."
)
_FORMAT = flags.DEFINE_enum("format", "savedmodel", export.FORMATS, "Format.")
_WEIGHTS = flags.DEFINE_enum(
    "weights",
    "last",
    export.WEIGHTS,
    "Those after the last epoch, or those that did best on the test images.",
)


def main():
    export.export(_WORKDIR.value, _OUTPUT.value, _FORMAT.value, _WEIGHTS.value)


if __name__ == "__main__":
    command_line.run(main, required=("workdir", "output"))
