"""Makes a table or a figure of the paper's ablations (section 4.1).

python -m launch.ablate --table=1 --config=configs/ablate_small.py \
    --workdir=runs/ablate
python -m launch.ablate --figure=5 --config=configs/ablate_small.py \
    --workdir=runs/ablate

The same command resumes. Started several times at once, on as many devices, it
shares the runs out; not those of Table 3, which are timed.
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
    "Path of the configuration, a file such as configs/ablate_small.py.",
)
_TABLE = flags.DEFINE_enum("table", None, list("1234"), "Which table.")
_FIGURE = flags.DEFINE_enum("figure", None, ["5"], "Which figure.")
flags.register_multi_flags_validator(
    ["table", "figure"],
    lambda values: bool(values["table"]) != bool(values["figure"]),
    "Expected --table=1, 2, 3 or 4, or --figure=5, and not both.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the ablations, made if it is not there."
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
