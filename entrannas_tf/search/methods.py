"""Search methods by name, each a configuration of the same super-net.

A method sets only the fields of `search_config.Config` that make it what it
is. Data, size of the network, batch and learning rates stay those of the
experiment, so that methods can be compared; so do the epochs, but for P-DARTS,
which goes through them in stages. During a warm-up of alpha Adam's moments
gather, unlike in the authors' programs: without them alpha's first steps were
so large that super-nets suffered.
"""

import dataclasses

from entrannas_tf.architecture import search_space
from entrannas_tf.config import schema


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """A search method.

    Attributes:
        title: Its name in texts.
        source: A short description, with the paper.
        switches: {dotted path: value} of the fields that define it; no two
            methods have the same.
        settings: {dotted path: value} of the published numbers that belong to
            it and not to the experiment.
        epochs: Share of the experiment's epochs that it takes, or that each of
            its stages takes.
        warmup: Share of its epochs at the start in which alpha stands still;
            None to leave `search.architecture_warmup_epochs` as it is.
    """

    title: str
    source: str
    switches: dict
    settings: dict = dataclasses.field(default_factory=dict)
    epochs: float = 1.0
    warmup: float | None = None


_ENTRANNAS = {
    "network.sparse": False,
    "network.engine_cells": "first",
    "network.feature_sharing": True,
    "network.bottleneck": 4,
    "network.max_skips": search_space.ANY_SKIPS,
    "search.architecture_order": 1,
    "progressive.num_cells": (),
    "progressive.num_primitives": (),
    "progressive.skip_dropout_rates": (),
    "network.partial_channels": 1,
    "network.edge_normalization": False,
    "search.architecture": "gradient",
}
_DARTS = {
    **_ENTRANNAS,
    "network.engine_cells": "all",
    "network.feature_sharing": False,
    "network.bottleneck": 1,
}
_NO_TEMPERATURE = {
    "search.initial_temperature": 1.0,
    "search.temperature_decay": 1.0,
}
# Of Adam on alpha, by DARTS (section 3.1) and all that came after it.
_DARTS_ADAM = {
    "search.architecture_beta_1": 0.5,
    "search.architecture_beta_2": 0.999,
    "search.architecture_weight_decay": 1e-3,
}

METHODS = {
    "entrannas": Method(
        title="EnTranNAS",
        source="Engine- and Transit-cells, feature sharing, bottleneck of 4, "
        "an annealed softmax (Yang et al., arXiv:2101.11342)",
        switches=_ENTRANNAS,
        settings=_DARTS_ADAM,
    ),
    "entrannas_dst": Method(
        title="EnTranNAS-DST",
        source="the same, and thresholds that prune connections: any number "
        "of them is found (section 2.4)",
        switches={**_ENTRANNAS, "network.sparse": True},
        # The paper's middle lambda on ImageNet; it gives none for CIFAR-10.
        settings={**_DARTS_ADAM, "search.threshold_penalty": 0.1},
    ),
    "darts": Method(
        title="DARTS",
        source="first order: every cell runs all connections, with its own "
        "operations on each edge (Liu et al., ICLR 2019)",
        switches=_DARTS,
        settings={**_DARTS_ADAM, **_NO_TEMPERATURE},
        warmup=0.0,
    ),
    "darts_second_order": Method(
        title="DARTS of second order",
        source="alpha follows the validation loss after a step of the weights, "
        "with three more runs of the super-net a step (Liu et al., ICLR 2019, "
        "section 2.3)",
        switches={**_DARTS, "search.architecture_order": 2},
        settings={**_DARTS_ADAM, **_NO_TEMPERATURE},
        warmup=0.0,
    ),
    "p_darts": Method(
        title="P-DARTS",
        source="DARTS in three stages, deeper and with fewer primitives each, "
        "with dropout behind skip connections, of which 2 are kept, and 25 "
        "epochs in each, 10 of them warm-up, where others have 50 in all (Chen "
        "et al., ICCV 2019)",
        switches={
            **_DARTS,
            "network.max_skips": 2,
            "progressive.num_cells": (5, 11, 17),
            "progressive.num_primitives": (8, 5, 3),
            "progressive.skip_dropout_rates": (0.0, 0.4, 0.7),
        },
        settings={**_DARTS_ADAM, **_NO_TEMPERATURE},
        epochs=0.5,
        warmup=0.4,
    ),
    "pc_darts": Method(
        title="PC-DARTS",
        source="DARTS whose operations read a quarter of the channels, with "
        "edge normalisation and a warm-up of 15 of 50 epochs (Xu et al., ICLR "
        "2020)",
        switches={
            **_DARTS,
            "network.partial_channels": 4,
            "network.edge_normalization": True,
        },
        settings={**_DARTS_ADAM, **_NO_TEMPERATURE},
        warmup=0.3,
    ),
    "random": Method(
        title="random search",
        source="weights shared by genotypes drawn at random, the best of which "
        "is kept, on EnTranNAS's network at the cost that `random_search` "
        "says (Li and Talwalkar, UAI 2019)",
        switches={**_ENTRANNAS, "search.architecture": "random"},
        settings=_NO_TEMPERATURE,
    ),
}


def apply(values, name, kept=()):
    """Returns a configuration with the fields of a method.

    Args:
        values: A `ConfigDict` of configs/, or nested dicts. It is not changed.
        name: Name of a method; None for the configuration as it is.
        kept: Dotted paths of fields to leave alone, those that a user set.

    Raises:
        ValueError: If the method is not known.
    """
    fields = {}
    if name is not None:
        if name not in METHODS:
            raise ValueError(
                f"Unknown method {name!r}; expected one of "
                f"{', '.join(METHODS)}."
            )
        fields = _fields(METHODS[name], values["search"])
    fields = {path: v for path, v in fields.items() if path not in kept}
    return schema.replaced(values, fields)


def title(config):
    """Returns the title of the method whose switches a configuration has."""
    values = schema.flatten(dataclasses.asdict(config))
    for method in METHODS.values():
        if all(values[path] == v for path, v in method.switches.items()):
            return method.title
    return "a mixture of methods"


def _fields(method, search):
    """Returns {dotted path: value} of all that a method sets."""
    fields = {**method.switches, **method.settings}
    epochs = max(1, round(method.epochs * search["epochs"]))
    if epochs != search["epochs"]:
        fields["search.epochs"] = epochs
    if method.warmup is not None:
        warmup = round(method.warmup * epochs)
        fields["search.architecture_warmup_epochs"] = warmup
    return fields
