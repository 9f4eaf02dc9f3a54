"""The configuration of the ablations of section 4.1."""

import dataclasses
import math
from typing import Annotated

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.search import methods

_METHODS = schema.Rule(
    f"some of {', '.join(methods.METHODS)}, each once",
    lambda values: _is_set(values) and set(values) <= set(methods.METHODS),
)
_PENALTIES = schema.Rule(
    "numbers of 0 or more, each once",
    lambda values: (
        _is_set(values) and all(math.isfinite(v) and v >= 0 for v in values)
    ),
)


def _is_set(values):
    return len(values) > 0 and len(set(values)) == len(values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblationConfig:
    """How large the ablations are.

    Attributes:
        name: What they are called in records, not empty.
        data_dir: Replaces the `data.data_dir` of `search` and of `retraining`;
            "" leaves these.
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
        search: The search by EnTranNAS, which rows change.
        retraining: The retraining of the networks found.
    """

    name: Annotated[str, schema.NOT_EMPTY]
    data_dir: str = ""
    num_seeds: Annotated[int, schema.FROM_1] = 1
    num_rank_seeds: Annotated[int, schema.FROM_3] = 6
    methods: Annotated[tuple[str, ...], _METHODS] = (
        "darts",
        "entrannas",
        "entrannas_dst",
    )
    penalties: Annotated[tuple[float, ...], _PENALTIES] = (0.2, 0.1, 0.05)
    batch_size: Annotated[int, schema.FROM_1] = 64
    num_steps: Annotated[int, schema.FROM_1] = 3
    memory_limit_mib: Annotated[int, schema.FROM_0] = 0
    search: search_config.Config
    retraining: retrain_config.RetrainConfig

    def check(self):
        """Raises ValueError if a section repeats its runs by itself."""
        for path, count in (
            ("search.num_searches", self.search.num_searches),
            ("retraining.num_runs", self.retraining.num_runs),
        ):
            if count != 1:
                raise ValueError(
                    f"{path} is {count}; expected 1; num_seeds and "
                    "num_rank_seeds say how often."
                )


def read(config_dict):
    """Returns the checked configuration that a `ConfigDict` describes.

    Args:
        config_dict: An `ml_collections.ConfigDict`, or nested dicts.

    Raises:
        ValueError: In one line, if a field is unknown, missing, of another
            type or out of range.
    """
    values = schema.to_plain(AblationConfig, config_dict)
    config = schema.make(AblationConfig, values)
    if config.data_dir:
        config = dataclasses.replace(
            config,
            search=_with_data_dir(config.search, config.data_dir),
            retraining=_with_data_dir(config.retraining, config.data_dir),
        )
    schema.check(config)
    return config


def _with_data_dir(config, data_dir):
    data = dataclasses.replace(config.data, data_dir=data_dir)
    return dataclasses.replace(config, data=data)
