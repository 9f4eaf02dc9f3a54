"""Searches several times, trains the networks found, and keeps the best one.

python -m launch.tune --config=configs/tune_digits.py --workdir=runs/tune

--config.FIELD=VALUE changes a field of the configuration, such as
--config.tuning.num_searches=3 or --config.search.search.epochs=2. The same
command on the same workdir resumes. KERASTUNER_ORACLE_IP,
KERASTUNER_ORACLE_PORT and KERASTUNER_TUNER_ID make the process the chief or one
of its workers.
"""

from absl import flags
from ml_collections import config_flags

from entrannas_tf.training import command_line
from entrannas_tf.tuning import config as tuning_config

with command_line.quiet_loading():
    from entrannas_tf.tuning import workflow as tuning_workflow

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Configuration file, such as configs/tune_digits.py.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the tuning; created if missing."
)


def main():
    tuning_workflow.tune(_CONFIG.value, _WORKDIR.value)


if __name__ == "__main__":
    command_line.run(
        main,
        required=("config", "workdir"),
        config_kind=tuning_config.TuneConfig,
    )
