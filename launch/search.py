"""Searches the cells of a network.

python -m launch.search --config=configs/digits.py --workdir=runs/digits

--config.FIELD=VALUE changes a field of the configuration, such as
--config.search.epochs=2. --method=darts selects another method; fields given as
--config.FIELD keep their values. The same command on the same workdir resumes.
"""

from absl import flags
from ml_collections import config_flags

from entrannas_tf.config import common as common_config
from entrannas_tf.search import methods
from entrannas_tf.training import command_line

with command_line.quiet_loading():
    from entrannas_tf.search import workflow as search_workflow

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Configuration file, such as configs/digits.py.",
)
_METHOD = flags.DEFINE_enum(
    "method",
    None,
    list(methods.METHODS),
    "Search method; by default that of the configuration.",
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
    given = config_flags.get_override_values(flags.FLAGS["config"])
    config = methods.apply(_CONFIG.value, _METHOD.value, kept=given)
    search_workflow.search(
        config, _WORKDIR.value, _STRATEGY.value, _PROFILE.value
    )


if __name__ == "__main__":
    command_line.run(main, required=("config", "workdir"))
