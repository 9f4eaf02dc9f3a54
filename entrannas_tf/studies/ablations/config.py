"""The configuration of the ablations of section 4.1."""

import dataclasses
import math
import operator

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.search import methods

_ONE = "1; num_seeds and num_rank_seeds say how often"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblationConfig:
    """How large the ablations are.

    Attributes:
        name: What they are called in records, not empty.
        data_dir: Stands in for the `data.data_dir` of `search` and of
            `retraining`; "" leaves these.
        num_seeds: Number of runs of each row of Tables 1 and 4 and of Figure
            5, at the seeds from `search.seed` on.
        num_rank_seeds: Number of runs of each row of Table 2, at least 3. The
            paper has 6.
        methods: Rows of Table 2, names of `methods.METHODS`.
        penalties: Rows of Table 4, lambda of Eq. 11, each once.
        batch_size: Images of the batch that Table 3 begins with.
        num_steps: Number of steps that Table 3 takes the median of.
        memory_limit_mib: Memory that Table 3 fills; 0 for 11/9 of what DARTS
            takes at `batch_size`: a GTX 1080 Ti has 11 GB, and the paper's
            DARTS takes 9.0 of them.
        search: A `search_config.Config`: EnTranNAS. A row changes what it is
            about.
        retraining: A `retrain_config.RetrainConfig`, of what was found.
    """

    name: str
    data_dir: str = ""
    num_seeds: int = 1
    num_rank_seeds: int = 6
    methods: tuple[str, ...] = ("darts", "entrannas", "entrannas_dst")
    penalties: tuple[float, ...] = (0.2, 0.1, 0.05)
    batch_size: int = 64
    num_steps: int = 3
    memory_limit_mib: int = 0
    search: search_config.Config
    retraining: retrain_config.RetrainConfig


def read(config_dict):
    """Returns the checked configuration that a `ConfigDict` describes.

    Args:
        config_dict: An `ml_collections.ConfigDict`, or a dict likewise.

    Raises:
        ValueError: In one line, if a field is unknown, missing, of another
            type or out of range.
    """
    values = search_config.to_plain(config_dict, AblationConfig)
    config = schema.make(AblationConfig, values)
    sections = "search", "retraining"
    if config.data_dir:
        config = dataclasses.replace(
            config,
            **{s: _from(config.data_dir, getattr(config, s)) for s in sections},
        )
    schema.check_sections(
        {s: search_config.to_flat_dict(getattr(config, s)) for s in sections}
    )
    for name, is_good, words in (
        ("name", config.name.strip(), "a text that is not empty"),
        ("search.num_searches", config.search.num_searches == 1, _ONE),
        ("retraining.num_runs", config.retraining.num_runs == 1, _ONE),
        ("num_seeds", config.num_seeds >= 1, "1 or more"),
        ("num_rank_seeds", config.num_rank_seeds >= 3, "3 or more"),
        (
            "methods",
            _are_choices(config.methods, methods.METHODS),
            f"some of {', '.join(methods.METHODS)}, each once",
        ),
        (
            "penalties",
            _are_choices(config.penalties, None),
            "numbers of 0 or more, each once",
        ),
        ("batch_size", config.batch_size >= 1, "1 or more"),
        ("num_steps", config.num_steps >= 1, "1 or more"),
        ("memory_limit_mib", config.memory_limit_mib >= 0, "0 or more"),
    ):
        if not is_good:
            came = operator.attrgetter(name)(config)
            raise ValueError(f"{name} is {came!r}; expected {words}.")
    return config


def _from(data_dir, config):
    """Returns a configuration whose data are in another directory."""
    data = dataclasses.replace(config.data, data_dir=data_dir)
    return dataclasses.replace(config, data=data)


def _are_choices(values, known):
    """Whether there are values, each once, and all known or 0 or more."""
    if not values or len(set(values)) < len(values):
        return False
    if known is not None:
        return set(values) <= set(known)
    return all(math.isfinite(value) and value >= 0 for value in values)
