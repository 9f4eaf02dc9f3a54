"""The search space as ordinary hyperparameters of Keras-Tuner."""

import itertools

import keras
import keras_tuner

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.networks import target as target_network

_MOMENTUM = 0.9  # DARTS's, as is the norm below.
_CLIP_NORM = 5.0


class TargetNetworkHyperModel(keras_tuner.HyperModel):
    """Target networks by choices: two sources per node, a primitive for each.

    For each node "normal/node_3/sources" is a pair such as "0,2" of different
    earlier nodes; "normal/node_3/primitive_0" acts on the first of the two and
    ".../primitive_1" on the second. Node 2 has only one pair, hence no choice;
    where there is one input node, node 1 has one source. All choices are
    genotypes that a search may find by top-2, and no two are the same.

    Args:
        num_classes: Number of logits.
        image_shape: (H, W, C) of the images; None for the default of
            `target_network.TargetNetwork`.
        num_cells: Number of cells, 3 or more.
        init_channels: Channels of the first cells, doubled by each reduction.
        stem: "cifar" or "imagenet", see `target_network.TargetNetwork`.
        space: Search space: a `search_space.SearchSpace`, or a name such as
            "standard", see `search_space.get`.
        learning_rate: Constant learning rate of SGD.
        **kwargs: Arguments of `keras_tuner.HyperModel`.

    Raises:
        ValueError: If the space is not known.

    Example:

    >>> import keras_tuner
    >>> import entrannas_tf
    >>> hypermodel = entrannas_tf.TargetNetworkHyperModel(num_classes=10)
    >>> parameters = keras_tuner.HyperParameters()
    >>> genotype = hypermodel.genotype(parameters)
    >>> len(genotype.normal)  # Intermediate nodes.
    4
    """

    def __init__(
        self,
        num_classes,
        image_shape=None,
        num_cells=8,
        init_channels=16,
        stem="cifar",
        space="standard",
        learning_rate=0.025,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.space = search_space.get(space)
        self.num_classes = num_classes
        self.image_shape = image_shape
        self.num_cells = num_cells
        self.init_channels = init_channels
        self.stem = stem
        self.learning_rate = learning_rate

    def build(self, hp):
        """Returns a compiled `target_network.TargetNetwork`.

        It takes normalised images, float [B, H, W, C], and returns logits.
        """
        model = target_network.TargetNetwork(
            self.genotype(hp),
            self.num_classes,
            self.image_shape,
            num_cells=self.num_cells,
            init_channels=self.init_channels,
            stem=self.stem,
        )
        model.compile(
            optimizer=keras.optimizers.SGD(
                self.learning_rate, _MOMENTUM, global_clipnorm=_CLIP_NORM
            ),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,  # XLA's depthwise convolutions crawl on CPUs.
        )
        return model

    def genotype(self, hp):
        """Returns the `genotypes.Genotype` that hyperparameters stand for."""
        cells = {
            kind: genotypes.make_cell(
                [
                    self._node(hp, f"{kind}/node_{node}", node)
                    for node in self.space.intermediate_nodes
                ],
                self.space,
            )
            for kind in self.space.kinds
        }
        return genotypes.of_cells(cells, self.space)

    def _node(self, hp, name, node):
        """Returns the (primitive, source) of a node, two if it can have two."""
        pairs = [
            ",".join(map(str, sources))
            for sources in itertools.combinations(range(node), min(node, 2))
        ]
        chosen = pairs[0]
        if len(pairs) > 1:
            chosen = hp.Choice(f"{name}/sources", pairs)
        primitives = list(self.space.operations)
        return [
            (hp.Choice(f"{name}/primitive_{place}", primitives), int(source))
            for place, source in enumerate(chosen.split(","))
        ]
