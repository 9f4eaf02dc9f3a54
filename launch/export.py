"""Exports a trained network as a SavedModel or a LiteRT file.

python -m launch.export --workdir=runs/c10_net --output=model/

The export is reloaded and compared with the network on test images. README.md
in the output directory is the model card.
"""

from absl import flags

from entrannas_tf.training import command_line

with command_line.quiet_loading():
    from entrannas_tf.retraining import export

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Workdir of a finished retraining."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory to create; it must not exist."
)
_FORMAT = flags.DEFINE_enum(
    "format", "savedmodel", export.FORMATS, "Format of the export."
)
_WEIGHTS = flags.DEFINE_enum(
    "weights",
    "last",
    export.WEIGHTS,
    "Weights after the last epoch, or those with the best test accuracy.",
)


def main():
    export.export(_WORKDIR.value, _OUTPUT.value, _FORMAT.value, _WEIGHTS.value)


if __name__ == "__main__":
    command_line.run(main, required=("workdir", "output"))
