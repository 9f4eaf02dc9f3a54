"""Measures a training step of a genotype's network.

python -m launch.benchmark_retraining --genotype=DARTS_V2 --batch_size=96
"""

import json
import time

from absl import flags

from entrannas_tf.architecture import published
from entrannas_tf.networks import cost
from entrannas_tf.training import command_line

_START = time.time()
with command_line.quiet_loading():
    from entrannas_tf.studies import benchmark

_GENOTYPE = flags.DEFINE_string(
    "genotype", None, "Genotype: a file, a workdir, or a published name."
)
_NETWORK = flags.DEFINE_enum(
    "network",
    "cifar10",
    list(cost.CLASSIFIERS),
    "Network whose values the other flags override.",
)
_OVERRIDES = (
    flags.DEFINE_integer("num_cells", None, "Number of cells."),
    flags.DEFINE_integer("init_channels", None, "Channels of the first cells."),
    flags.DEFINE_integer("image_size", None, "Height and width of images."),
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 96, "Batch size.", 1)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 5, "Steps to time.", 1)


def main():
    given = {f.name: f.value for f in _OVERRIDES if f.value is not None}
    measured = benchmark.measure_retraining(
        published.load_genotype(_GENOTYPE.value),
        cost.CLASSIFIERS[_NETWORK.value]._replace(**given),
        _BATCH_SIZE.value,
        _NUM_STEPS.value,
        _START,
    )
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    command_line.run(main, required=("genotype",))
