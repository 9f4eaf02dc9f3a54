"""Makes a table or a figure of the paper (section 4.1, and Table 5).

python -m launch.ablate --table=1 --config=configs/ablate_small.py \
    --workdir=runs/ablate
python -m launch.ablate --figure=5 --config=configs/ablate_small.py \
    --workdir=runs/ablate

The same command resumes. Started several times at once, on several devices, it
shares out the runs, except for Table 3, which is timed.
"""

import shlex
import sys

from absl import flags
from ml_collections import config_flags

from entrannas_tf.studies.ablations import config as ablation_config
from entrannas_tf.training import command_line

with command_line.quiet_loading():
    from entrannas_tf.studies.ablations import workflow as ablation_workflow

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Configuration file, such as configs/ablate_small.py.",
)
_TABLE = flags.DEFINE_enum("table", None, list("12345"), "Number of the table.")
_FIGURE = flags.DEFINE_enum("figure", None, ["5"], "Number of the figure.")
flags.register_multi_flags_validator(
    ["table", "figure"],
    lambda values: bool(values["table"]) != bool(values["figure"]),
    "Expected --table=1, 2, 3, 4 or 5, or --figure=5, and not both.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the ablations; created if missing."
)


def main():
    command = f"python -m launch.ablate {shlex.join(sys.argv[1:])}"
    result = (
        f"table{_TABLE.value}" if _TABLE.value else f"figure{_FIGURE.value}"
    )
    ablation_workflow.ablate(_CONFIG.value, result, _WORKDIR.value, command)


if __name__ == "__main__":
    command_line.run(
        main,
        required=("config", "workdir"),
        config_kind=ablation_config.AblationConfig,
    )
