"""Counts the parameters and multiply-adds of a target network.

python -m launch.account --genotype=PC_DARTS_cifar --network=cifar10 [--json]
python -m launch.account --genotype=DARTS_V2 --network=segmentation \
    --image_size=513 --output_stride=8

--genotype is a file, the workdir of a search, or the name of a published one.
"""

import json

from absl import flags

from entrannas_tf.architecture import published
from entrannas_tf.networks import cost
from entrannas_tf.training import command_line

_GENOTYPE = flags.DEFINE_string(
    "genotype", None, "Genotype: a file, a workdir, or a published name."
)
_NETWORK = flags.DEFINE_enum(
    "network",
    "cifar10",
    list(cost.NETWORKS),
    "Network whose values the other flags override.",
)
_OVERRIDES = (
    flags.DEFINE_integer("num_cells", None, "Number of cells."),
    flags.DEFINE_integer("init_channels", None, "Channels of the first cells."),
    flags.DEFINE_integer("num_classes", None, "Number of logits."),
    flags.DEFINE_integer("image_size", None, "Height and width of images."),
    flags.DEFINE_integer("image_width", None, "Width, if it is another."),
    flags.DEFINE_integer("output_stride", None, "8, 16 or 32; 0 to classify."),
)
_JSON = flags.DEFINE_bool("json", False, "Print JSON instead of text.")
_LAYERS = flags.DEFINE_bool("layers", False, "Print every layer as well.")


def main():
    genotype = published.load_genotype(_GENOTYPE.value)
    given = {f.name: f.value for f in _OVERRIDES if f.value is not None}
    network = cost.NETWORKS[_NETWORK.value]._replace(**given)
    account = cost.count(genotype, network)
    if not _JSON.value:
        print(cost.to_text(account, _LAYERS.value))
        return
    content = {
        "genotype": _GENOTYPE.value,
        "network": _NETWORK.value,
        **network._asdict(),
        **cost.to_dict(account, _LAYERS.value),
    }
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    command_line.run(main, required=("genotype",))
