"""Trains the network of a genotype from scratch and tests it.

python -m launch.retrain --config=configs/retrain_cifar10.py \
    --genotype=runs/c10 --workdir=runs/c10_net

--genotype is a file, the workdir of a search, or a published name such as
DARTS_V2. --config.FIELD=VALUE changes a field of the configuration. The same
command on the same workdir resumes.
"""

from absl import flags
from ml_collections import config_flags

from entrannas_tf.config import common as common_config
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.training import command_line

with command_line.quiet_loading():
    from entrannas_tf.retraining import workflow as retraining_workflow

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Configuration file, such as configs/retrain_cifar10.py.",
)
_GENOTYPE = flags.DEFINE_string(
    "genotype", None, "Genotype: a file, a workdir, or a published name."
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    None,
    common_config.STRATEGIES,
    "Distribution strategy; overrides --config.distribution.strategy.",
)
_PROFILE = flags.DEFINE_bool(
    "profile", False, "Report where a step's time goes and write a trace."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run; created if missing."
)


def main():
    retraining_workflow.retrain(
        _CONFIG.value,
        _GENOTYPE.value,
        _WORKDIR.value,
        _STRATEGY.value,
        _PROFILE.value,
    )


if __name__ == "__main__":
    command_line.run(
        main,
        required=("config", "genotype", "workdir"),
        config_kind=retrain_config.RetrainConfig,
    )
