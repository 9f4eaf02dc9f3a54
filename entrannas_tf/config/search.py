"""The configuration of a search, for `schema.read`.

`configs/*.py` return one as a `ConfigDict`, which the command line overrides.
"""

import dataclasses
from typing import Annotated

from entrannas_tf.architecture import search_space
from entrannas_tf.config import common as common_config
from entrannas_tf.config import schema

# 0.7 + 0.3 may be more than 1 by this much.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(common_config.ImagesConfig):
    """The images of a search, beside those of `common_config.ImagesConfig`.

    Attributes:
        weight_fraction: Share of the training images that trains the weights,
            between 0 and 1, both excluded.
        architecture_fraction: Share of them that trains alpha and beta, from 0
            to below 1; 0 for all the rest. Both shares are of every class
            alike, but random ones of "imagenet2012". A folder whose val/
            trains alpha and beta ignores both.
    """

    weight_fraction: Annotated[float, schema.SHARE] = 0.5
    architecture_fraction: Annotated[float, schema.BELOW_1] = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig(common_config.CellsConfig):
    """The super-net, and the search space: see `space_of`.

    The first five fields are the search space. It is one of your own where you
    list its primitives, or have another number of nodes or of kinds of cell:

        config.network.space = "mine"
        config.network.primitives = ("none", "skip_connect", "sep_conv_3x3")
        config.network.num_intermediate_nodes = 3

    `init_channels` is a multiple of `bottleneck` and of `partial_channels`.

    Attributes:
        space: Name of the search space: "standard" (7 operations and none),
            "extended" (12 and none), "nasnet" (9 and none), or "tiny" (3 and
            none, to try things out). Any name where `primitives` are listed.
        primitives: Names of the candidate primitives, each once, with or
            without "none"; those of the named space if empty. A random search
            needs "none".
        num_input_nodes: Number of input nodes of a cell: 2, for the outputs of
            cells k-2 and k-1, or 1, for that of cell k-1.
        num_intermediate_nodes: Number of intermediate nodes of a cell, 1 or
            more.
        kinds: Kinds of cell that are searched: "normal" and "reduction", or
            "normal" alone. Then reduction cells are normal cells at stride 2.
        sparse: False for EnTranNAS, True for EnTranNAS-DST (thresholds, any
            number of connections, no "none").
        engine_cells: Which cells are Engine-cells: "first" (the first normal
            and the first reduction cell), "last", "half" or "all".
        feature_sharing: Whether an operation on a node is computed once for
            all later nodes.
        bottleneck: Ratio by which channels are divided before operations; 1
            for no bottleneck.
        partial_channels: K: operations read the first 1/K of a node's channels
            and the others bypass them, as in PC-DARTS, where it is 4; 1 for
            all. It takes the place of a bottleneck.
        edge_normalization: Whether each edge has a weight of its own too, as in
            PC-DARTS: a softmax over the edges into a node.
        max_skips: Number of skip connections that the normal cell is derived
            with, at most, from 0 to 8, which means any, however many nodes
            there are; P-DARTS allows 2. Not when the network is sparse.
        max_fold: Number of images folded into the channels, at most, so that
            small tensors fill the processor; 1 for none. Changes the speed.
    """

    space: Annotated[str, schema.NOT_EMPTY] = search_space.STANDARD.name
    primitives: tuple[str, ...] = ()
    num_input_nodes: int = 2
    num_intermediate_nodes: int = 4
    kinds: tuple[str, ...] = search_space.KINDS
    sparse: bool = False
    num_cells: Annotated[int, schema.FROM_3] = 8
    init_channels: Annotated[int, schema.FROM_1] = 16
    engine_cells: Annotated[
        str, schema.one_of("first", "last", "half", "all")
    ] = "first"
    feature_sharing: bool = True
    bottleneck: Annotated[int, schema.FROM_1] = 4
    partial_channels: Annotated[int, schema.FROM_1] = 1
    edge_normalization: bool = False
    max_skips: Annotated[
        int,
        schema.Rule(
            f"from 0 to {search_space.ANY_SKIPS}",
            lambda value: 0 <= value <= search_space.ANY_SKIPS,
        ),
    ] = search_space.ANY_SKIPS
    max_fold: Annotated[int, schema.FROM_1] = 64


def space_of(network):
    """Returns the `search_space.SearchSpace` of a `NetworkConfig`.

    Raises:
        ValueError: If it cannot be searched.
    """
    if not network.primitives and network.space not in search_space.SPACES:
        raise ValueError(
            f"network.space is {network.space!r}; expected one of "
            f"{', '.join(search_space.SPACES)}, or network.primitives for a "
            "space of your own."
        )
    return search_space.make(
        network.space,
        network.primitives,
        network.num_input_nodes,
        network.num_intermediate_nodes,
        network.kinds,
        prefix="network.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig(common_config.LoopConfig):
    """How the network is searched, beside `common_config.LoopConfig`.

    `batch_size` counts the images of each of a step's two batches.

    Attributes:
        architecture: "gradient", or "random" for random search: no cell is an
            Engine-cell, each step runs a genotype of its own, and the last
            epoch alone is evaluated, see `random_search`.
        num_candidates: Number of genotypes that a random search chooses from
            at the end; 0 for as many as epochs.
        weight_learning_rate: Of SGD on the weights at the start; falls to 0
            along a cosine.
        weight_momentum: Of SGD, from 0 to below 1.
        architecture_learning_rate: Of Adam on alpha and beta, at the start.
        architecture_warmup_epochs: Epochs at the start whose rate is 0, so that
            the weights mean something when alpha and beta begin to move, and
            Adam has seen their gradients; fewer than `epochs`.
        architecture_schedule: "constant", as in the paper, or "cosine": it
            falls to 0, so that a short search with large steps settles.
        architecture_beta_1: Adam's decay of the mean, from 0 to below 1.
        architecture_beta_2: Adam's decay of the variance, from 0 to below 1.
        architecture_weight_decay: L2 on alpha and beta, added to the gradient.
        architecture_order: 1, as in the paper, or 2: alpha and beta follow the
            validation loss after a step of the weights, see `second_order`.
            A step then takes about 2.4 times as long; it needs float32.
        skip_dropout_rate: Share of their elements that the identities of
            Engine-cells lose in training, from 0 to below 1, at first; it
            falls, see `schedules.skip_dropout`.
        threshold_penalty: lambda of Eq. 11: larger means fewer connections.
            Only acts when the network is sparse.
        initial_temperature: tau of Eq. 5 in the first epoch, above 0.
        temperature_decay: Factor of tau from epoch to epoch, above 0, at most
            1.
        max_graphs: Number of graphs held, at most; the least recently used is
            dropped. A search of one space and batch size has about 150.
        graph_after_steps: Number of steps with the same derivation after which
            a step becomes one graph, which runs faster and takes some seconds
            to build; 0 for never. Changes no result.
    """

    architecture: Annotated[str, schema.one_of("gradient", "random")] = (
        "gradient"
    )
    num_candidates: Annotated[int, schema.FROM_0] = 0
    weight_learning_rate: Annotated[float, schema.ABOVE_0]
    weight_momentum: Annotated[float, schema.BELOW_1] = 0.9
    architecture_learning_rate: Annotated[float, schema.ABOVE_0]
    architecture_warmup_epochs: Annotated[int, schema.FROM_0] = 0
    architecture_schedule: Annotated[
        str, schema.one_of("constant", "cosine")
    ] = "constant"
    architecture_beta_1: Annotated[float, schema.BELOW_1] = 0.5
    architecture_beta_2: Annotated[float, schema.BELOW_1] = 0.999
    architecture_weight_decay: Annotated[float, schema.FROM_0] = 1e-3
    architecture_order: Annotated[int, schema.one_of(1, 2)] = 1
    skip_dropout_rate: Annotated[float, schema.BELOW_1] = 0.0
    threshold_penalty: Annotated[float, schema.FROM_0] = 0.0
    initial_temperature: Annotated[float, schema.ABOVE_0]
    temperature_decay: Annotated[float, schema.FACTOR]
    max_graphs: Annotated[int, schema.FROM_1] = 256
    graph_after_steps: Annotated[int, schema.FROM_0] = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgressiveConfig:
    """The stages of a search that goes deeper, as P-DARTS's; or none.

    Each is a search of its own, of all epochs, in which an edge chooses from
    the primitives that were its strongest in the stage before.

    Attributes:
        num_cells: Of each stage's super-net, instead of `network.num_cells`;
            empty for a search without stages.
        num_primitives: Of each edge in each stage, none included: that of the
            space at first, then 3 or more and never growing.
        skip_dropout_rates: `search.skip_dropout_rate` of each stage.
        stage: The stage that a search is, from 1 on. The program sets it in
            the stages' own config.json; 0 for the whole.
    """

    num_cells: Annotated[tuple[int, ...], schema.each(schema.FROM_3)] = ()
    num_primitives: Annotated[tuple[int, ...], schema.each(schema.FROM_3)] = ()
    skip_dropout_rates: Annotated[
        tuple[float, ...], schema.each(schema.BELOW_1)
    ] = ()
    stage: Annotated[int, schema.FROM_0] = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(common_config.RunConfig):
    """A search, or several, beside `common_config.RunConfig`.

    Attributes:
        num_searches: Number of searches, at the seeds from `seed` on. The one
            whose child network is best on the images that trained the
            architecture is kept, as in section 4.2, which has 5.
        search: How the network is searched.
        progressive: The stages of the search.
    """

    num_searches: Annotated[int, schema.FROM_1] = 1
    data: DataConfig
    network: NetworkConfig
    search: SearchConfig
    progressive: ProgressiveConfig = ProgressiveConfig()

    def check(self):
        super().check()
        space = space_of(self.network)
        _check_channels(self.network)
        if self.search.architecture == "random":
            _check_random(self, space)
        common_config.check_warmup(
            "search.", "architecture_warmup_epochs", self.search
        )
        rest = 1.0 - self.data.weight_fraction
        if self.data.architecture_fraction > rest + _ROUNDING:
            raise ValueError(
                "data.architecture_fraction is "
                f"{self.data.architecture_fraction}; expected at most "
                f"{rest:g}, what data.weight_fraction leaves, or 0 for all of "
                "it."
            )
        precision = self.search.precision
        if self.search.architecture_order == 2 and precision != "float32":
            raise ValueError(
                f"search.precision is {precision}; expected float32, as "
                "search.architecture_order is 2: it takes differences of "
                "gradients at weights that are the same in half precision."
            )
        _check_skips(self, space)
        _check_stages(self.progressive, space)


def _check_channels(network):
    """Checks that the channels can be divided as they will be."""
    channels = network.init_channels
    for field in ("bottleneck", "partial_channels"):
        divisor = getattr(network, field)
        if channels % divisor:
            raise ValueError(
                f"network.init_channels is {channels}; expected a multiple of "
                f"network.{field}, which is {divisor}."
            )
    if network.partial_channels > 1 and network.bottleneck > 1:
        raise ValueError(
            f"network.partial_channels is {network.partial_channels} and "
            f"network.bottleneck is {network.bottleneck}; expected 1 for one "
            "of them, as both make the operations read fewer channels."
        )


def _check_random(config, space):
    """Checks that a random search has a space to draw from, and no alpha."""
    if config.network.sparse:
        raise ValueError(
            "search.architecture is 'random' and network.sparse is True; "
            "expected False, as two connections a node are drawn."
        )
    if config.search.architecture_order > 1:
        raise ValueError(
            "search.architecture is 'random' and search.architecture_order is "
            f"{config.search.architecture_order}; expected 1, as alpha takes "
            "no steps."
        )
    if search_space.NONE not in space.primitives:
        raise ValueError(
            "search.architecture is 'random' and network.primitives is "
            f"{space.primitives!r}; expected 'none' among them, for the edges "
            "that a drawn genotype leaves empty."
        )
    if config.progressive.num_cells:
        raise ValueError(
            "search.architecture is random; expected gradient, as alpha says "
            "what the next of progressive.num_cells chooses from."
        )


def _check_skips(config, space):
    """Checks that other operations can take the place of skip connections."""
    skips = config.network.max_skips
    is_limited = skips < search_space.ANY_SKIPS
    if is_limited and space.operations == (search_space.SKIP_CONNECT,):
        raise ValueError(
            f"network.max_skips is {skips} and network.primitives is "
            f"{space.primitives!r}; expected an operation among them that can "
            "take the place of skip_connect."
        )
    if config.network.sparse and (config.progressive.num_cells or is_limited):
        raise ValueError(
            "network.sparse is True; expected false, as it knows neither "
            "progressive.num_cells nor network.max_skips: they choose by rank, "
            "and it by thresholds."
        )


def _check_stages(progressive, space):
    """Checks that there is one value a stage."""
    num_stages = len(progressive.num_cells)
    for field in ("num_primitives", "skip_dropout_rates"):
        values = getattr(progressive, field)
        if len(values) != num_stages:
            raise ValueError(
                f"progressive.{field} is {values!r}; expected {num_stages} "
                "values, one for each of progressive.num_cells."
            )
    counts = progressive.num_primitives
    growing = counts != tuple(sorted(counts, reverse=True))
    if counts and (growing or counts[0] != len(space.primitives)):
        raise ValueError(
            f"progressive.num_primitives is {counts!r}; expected "
            f"{len(space.primitives)}, all of network.space, at first, and "
            "never more than in the stage before."
        )
    if progressive.stage > num_stages:
        raise ValueError(
            f"progressive.stage is {progressive.stage}; expected at most "
            f"{num_stages}, the number of progressive.num_cells."
        )
