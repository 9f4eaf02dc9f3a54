"""The configuration of a search; reading and writing configurations as dicts.

`configs/*.py` return one as a `ConfigDict`, which the command line overrides;
`from_config_dict` is the door through which it comes in. A plain dict of
`to_dict` goes in and out of JSON unchanged. That of a retraining is in
`retrain`; `schema` checks both.
"""

import dataclasses

import ml_collections

from entrannas_tf.architecture import search_space
from entrannas_tf.config import common as common_config
from entrannas_tf.config import schema


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(common_config.ImagesConfig):
    """The images of a search, beside those of `common_config.ImagesConfig`.

    Attributes:
        weight_fraction: Share of the training images that trains the weights,
            between 0 and 1, both excluded.
        architecture_fraction: Share of them that trains alpha and beta, from 0
            to below 1; 0 for all the rest. Both shares are of every class
            alike, but random ones of "imagenet2012". Neither acts where a
            folder's val/ trains alpha and beta.
    """

    weight_fraction: float = 0.5
    architecture_fraction: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The super-net, and the search space: see `space_of`.

    The first five fields are the search space. It is one of your own where you
    list its primitives, or have another number of nodes or of kinds of cell:

        config.network.space = "mine"
        config.network.primitives = ("none", "skip_connect", "sep_conv_3x3")
        config.network.num_intermediate_nodes = 3

    Attributes:
        space: Name of the search space: "standard" (7 operations and none),
            "extended" (12 and none), "nasnet" (9 and none), or "tiny" (3 and
            none, to try things out). Any name where `primitives` are listed.
        primitives: Names of the candidate primitives, each once, "none" among
            them or not; those of the named space if empty. A random search
            needs "none".
        num_input_nodes: Number of input nodes of a cell: 2, for the outputs of
            cells k-2 and k-1, or 1, for that of cell k-1.
        num_intermediate_nodes: Number of intermediate nodes of a cell, 1 or
            more.
        kinds: Kinds of cell that are searched: "normal" and "reduction", or
            "normal" alone. Then reduction cells are normal cells at stride 2.
        sparse: False for EnTranNAS, True for EnTranNAS-DST (thresholds, any
            number of connections, no "none").
        num_cells: Number of cells, at least 3; those at 1/3 and 2/3 of the
            depth are reduction cells.
        init_channels: Channels of the first cells, a multiple of bottleneck
            and of partial_channels.
        stem: "cifar", which keeps the size of the images, or "imagenet", whose
            three convolutions of stride 2 divide it by 8; it needs an even
            number of channels.
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

    space: str = search_space.STANDARD.name
    primitives: tuple[str, ...] = ()
    num_input_nodes: int = 2
    num_intermediate_nodes: int = 4
    kinds: tuple[str, ...] = search_space.KINDS
    sparse: bool = False
    num_cells: int = 8
    init_channels: int = 16
    stem: str = "cifar"
    engine_cells: str = "first"
    feature_sharing: bool = True
    bottleneck: int = 4
    partial_channels: int = 1
    edge_normalization: bool = False
    max_skips: int = search_space.ANY_SKIPS
    max_fold: int = 64


def space_of(network):
    """Returns the `search_space.SearchSpace` of a `NetworkConfig`.

    Raises:
        ValueError: If it is none that can be searched.
    """
    return search_space.make(
        network.space,
        network.primitives,
        network.num_input_nodes,
        network.num_intermediate_nodes,
        network.kinds,
        prefix="network.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How the network is searched.

    Attributes:
        epochs: Number of epochs over the weights' share of the images.
        batch_size: Images of each of a step's two batches.
        eval_every_epochs: Epochs between evaluations as super-net and as
            child network; the last epoch is always evaluated, and alone where
            the architecture is random.
        architecture: "gradient", or "random" for random search: no cell is an
            Engine-cell, and each step runs a genotype of its own, see
            `random_search`.
        num_candidates: Number of genotypes that a random search chooses from
            at the end; 0 for as many as epochs.
        weight_learning_rate: Of SGD on the weights at the start; falls to 0
            along a cosine.
        weight_momentum: Of SGD, from 0 to below 1.
        weight_decay: L2 on the weights, added to the gradient.
        gradient_clip_norm: Largest global norm of the weights' gradient.
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
        read_every_steps: Steps between two looks at the losses, which wait for
            the devices. Workers of several then also check that they agree.
        checkpoint_every_steps: Steps between checkpoints beside the one at the
            end of each epoch; 0 for that one alone.
        checkpoints_to_keep: At least 2: one that a crash cuts short has one
            before it.
        max_graphs: Number of graphs held, at most; the least recently used is
            dropped. A search of one space and batch size has about 150.
        precision: "float32", or on a GPU "bfloat16" or "float16", for features
            and convolutions; all that adds up stays in float32, see
            `layers.precision`.
        xla: Whether XLA compiles the graphs. On a CPU it is always off.
    """

    epochs: int
    batch_size: int
    eval_every_epochs: int = 1
    architecture: str = "gradient"
    num_candidates: int = 0
    weight_learning_rate: float
    weight_momentum: float = 0.9
    weight_decay: float
    gradient_clip_norm: float = 5.0
    architecture_learning_rate: float
    architecture_warmup_epochs: int = 0
    architecture_schedule: str = "constant"
    architecture_beta_1: float = 0.5
    architecture_beta_2: float = 0.999
    architecture_weight_decay: float = 1e-3
    architecture_order: int = 1
    skip_dropout_rate: float = 0.0
    threshold_penalty: float = 0.0
    initial_temperature: float
    temperature_decay: float
    read_every_steps: int = 10
    checkpoint_every_steps: int = 0
    checkpoints_to_keep: int = 2
    max_graphs: int = 256
    precision: str = "float32"
    xla: bool = False


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

    num_cells: tuple[int, ...] = ()
    num_primitives: tuple[int, ...] = ()
    skip_dropout_rates: tuple[float, ...] = ()
    stage: int = 0


NO_STAGES = ProgressiveConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A search, or several.

    Attributes:
        name: What the experiment is called in records, not empty.
        seed: Of all random numbers, from 0 to 2**31 - 1.
        num_searches: Number of searches, at the seeds from `seed` on. The one
            whose child network is best on the images that trained the
            architecture is kept, as in section 4.2, which has 5.
        deterministic: Whether a run gives bit for bit what another one of the
            same seed and device gives, at some cost in speed.
        data: A `DataConfig`.
        network: A `NetworkConfig`.
        search: A `SearchConfig`.
        progressive: A `ProgressiveConfig`.
        distribution: A `common_config.DistributionConfig`.
    """

    name: str
    seed: int = 0
    num_searches: int = 1
    deterministic: bool = False
    data: DataConfig
    network: NetworkConfig
    search: SearchConfig
    progressive: ProgressiveConfig = NO_STAGES
    distribution: common_config.DistributionConfig = common_config.ONE_DEVICE


# By the section that tells a configuration from the other kind.
_PROGRAMS = {
    "tuning": "launch.tune",
    "search": "launch.search",
    "training": "launch.retrain",
}


def from_config_dict(config_dict, kind=Config):
    """Returns the checked configuration that a `ConfigDict` describes.

    Args:
        config_dict: An `ml_collections.ConfigDict`, or the dict of `to_dict`.
            A field that has a default may be left out.
        kind: `Config`, or `retrain_config.RetrainConfig`.

    Raises:
        ValueError: In one line, if a field is unknown, missing, of another
            type or out of range.
    """
    config = schema.make(kind, to_plain(config_dict, kind))
    schema.check(to_flat_dict(config))
    return config


def to_plain(config_dict, kind):
    """Returns the dict of a configuration of some kind, its fields unchecked.

    Raises:
        ValueError: In one line, if it is none, or one of another kind.
    """
    if isinstance(config_dict, ml_collections.ConfigDict):
        config_dict = config_dict.to_dict()
    if not isinstance(config_dict, dict):
        raise ValueError(
            f"The configuration is {type(config_dict).__name__}; expected a "
            "ConfigDict: get_config() must return one."
        )
    known = {field.name for field in dataclasses.fields(kind)}
    for section, program in _PROGRAMS.items():
        if section in config_dict and section not in known:
            raise ValueError(
                f"The configuration has a section {section}: it is one for "
                f"{program}."
            )
    return config_dict


def to_dict(config):
    """Returns a configuration as dicts of texts, numbers and booleans."""
    return dataclasses.asdict(config)


def to_flat_dict(config):
    """Returns it as {dotted path: value}, such as "search.epochs"."""
    return flatten(to_dict(config))


def flatten(values, prefix=""):
    """Returns {dotted path: value} of nested dicts such as `to_dict` gives."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def to_config_dict(config):
    """Returns a configuration as a `ConfigDict` for a file of configs/.

    It is locked: its fields change, and no field is added. Nothing is checked
    but the types, for the command line may still complete it.
    """
    return ml_collections.ConfigDict(to_dict(config)).lock()


def expected_type(path, kind=Config):
    """Returns in words what a field takes, such as "an integer".

    Args:
        path: Dotted path of a field or a section, such as "search.epochs".
        kind: As for `from_config_dict`.

    Raises:
        ValueError: In one line, if there is no such field. It names the
            fields that there are, and the one that was probably meant.
    """
    section, prefix = kind, ""
    *parents, last = path.split(".")
    for name in parents:
        section = schema.find(section, prefix, name).type
        prefix += f"{name}."
        if not dataclasses.is_dataclass(section):
            raise ValueError(
                f"Unknown field {path}: {prefix[:-1]} is "
                f"{schema.in_words(section)} and has no fields."
            )
    return schema.in_words(schema.find(section, prefix, last).type)
