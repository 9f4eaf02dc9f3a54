"""Trains a network for semantic segmentation and tests it.

python -m launch.segment --config=configs/segment_voc.py --genotype=DARTS_V2 \
    --backbone=runs/backbone --config.data.dir=VOC2012 --workdir=runs/seg

--genotype is as for launch.retrain. --backbone is the workdir of a retraining
of the same genotype by configs/retrain_imagenet.py, a .keras file, or a state
dict of DARTS; without it the backbone begins with random weights. The same
command on the same workdir resumes.
"""

from absl import flags
from ml_collections import config_flags

from entrannas_tf.config import common as common_config
from entrannas_tf.config import segment as segment_config
from entrannas_tf.training import command_line

with command_line.quiet_loading():
    from entrannas_tf.retraining import workflow as retraining_workflow

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Configuration file, such as configs/segment_voc.py."
)
_GENOTYPE = flags.DEFINE_string(
    "genotype", None, "Genotype: a file, a workdir, or a published name."
)
_BACKBONE = flags.DEFINE_string(
    "backbone", None, "Weights of the backbone: a workdir or a file."
)
_STRATEGY = flags.DEFINE_enum(
    "strategy", None, common_config.STRATEGIES, "Distribution strategy."
)
_PROFILE = flags.DEFINE_bool(
    "profile", False, "Report where a step's time goes and write a trace."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run; created if missing."
)


def main():
    retraining_workflow.segment(
        _CONFIG.value,
        _WORKDIR.value,
        _GENOTYPE.value,
        _BACKBONE.value,
        _STRATEGY.value,
        _PROFILE.value,
    )


if __name__ == "__main__":
    command_line.run(
        main,
        required=("config", "workdir"),
        config_kind=segment_config.SegmentConfig,
    )
