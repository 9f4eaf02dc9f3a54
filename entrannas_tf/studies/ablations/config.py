"""The configuration of the paper's tables: section 4.1 and Table 5."""

import dataclasses
import math
from typing import Annotated

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.config import segment as segment_config
from entrannas_tf.search import methods

_METHODS = schema.Rule(
    f"some of {', '.join(methods.METHODS)}, each once",
    lambda values: _is_set(values) and set(values) <= set(methods.METHODS),
)
_PENALTIES = schema.Rule(
    "numbers of 0 or more, each once",
    lambda values: (
        _are_single(values) and all(math.isfinite(v) and v >= 0 for v in values)
    ),
)
_BACKBONES = schema.Rule("names, each once", lambda v: _are_single(v))
_PRETRAINED = schema.Rule("True, False or both", lambda v: _is_set(v))


def _is_set(values):
    return len(values) > 0 and _are_single(values)


def _are_single(values):
    return len(set(values)) == len(values)


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
        penalties: Rows of Table 4 and Figure 5, lambda of Eq. 11, each once;
            further rows of Table 5, which may do without.
        batch_size: Images of the batch that Table 3 begins with.
        num_steps: Number of steps that Table 3 takes the median of.
        memory_limit_mib: Memory that Table 3 fills; 0 for 11/9 of what DARTS
            takes at `batch_size`: a GTX 1080 Ti has 11 GB, and the paper's
            DARTS takes 9.0 of them.
        backbones: Rows of Table 5 beside the cells that EnTranNAS-DST finds at
            each of `penalties`: published genotypes, files, workdirs, or
            "resnet50".
        pretrained: Whether Table 5's backbones of cells are trained by
            `pretraining` first: (True,), (False,) or both.
        resnet50_weights: Weights of ResNet-50, a .keras file; "" for random
            ones.
        photos_dir: Folder of classified photographs for `pretraining`, which
            replaces its data; "" leaves these.
        voc_dir: Replaces `segmentation.data.dir`; "" leaves it.
        search: The search by EnTranNAS, which rows change.
        retraining: The retraining of the networks found.
        pretraining: The retraining on ImageNet of Table 5's backbones.
        segmentation: The training for segmentation of Table 5.
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
    backbones: Annotated[tuple[str, ...], _BACKBONES] = (
        "resnet50",
        "NASNet",
        "DARTS_V2",
    )
    pretrained: Annotated[tuple[bool, ...], _PRETRAINED] = (True,)
    resnet50_weights: str = ""
    photos_dir: str = ""
    voc_dir: str = ""
    search: search_config.Config
    retraining: retrain_config.RetrainConfig
    pretraining: retrain_config.RetrainConfig
    segmentation: segment_config.SegmentConfig

    def check(self):
        """Raises ValueError if a section repeats its runs by itself."""
        for path, count in (
            ("search.num_searches", self.search.num_searches),
            ("retraining.num_runs", self.retraining.num_runs),
            ("pretraining.num_runs", self.pretraining.num_runs),
            ("segmentation.num_runs", self.segmentation.num_runs),
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
    changes = {}
    if config.data_dir:
        for name in ("search", "retraining"):
            section = getattr(config, name)
            changes[name] = _with_data(section, data_dir=config.data_dir)
    if config.photos_dir:
        changes["pretraining"] = _with_data(
            config.pretraining, name="folder", dir=config.photos_dir
        )
    if config.voc_dir:
        changes["segmentation"] = _with_data(
            config.segmentation, dir=config.voc_dir
        )
    config = dataclasses.replace(config, **changes)
    schema.check(config)
    return config


def _with_data(section, **fields):
    """Returns a section with other values in some fields of its data."""
    data = dataclasses.replace(section.data, **fields)
    return dataclasses.replace(section, data=data)
