"""Classifies images with an exported network.

python -m launch.classify --model=model/ --images=cat.jpg,dog.png
python -m launch.classify --model=model/ --config=configs/retrain_digits.py
"""

from absl import flags
from ml_collections import config_flags

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.training import command_line

with command_line.quiet_loading():
    from entrannas_tf.retraining import classify

_MODEL = flags.DEFINE_string(
    "model", None, "Output directory of launch.export."
)
_IMAGES = flags.DEFINE_list("images", [], "Image files.")
_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Without --images: configuration whose test images are classified.",
)


def main():
    lines = classify.classify(_MODEL.value, _IMAGES.value, _CONFIG.value)
    print("\n".join(lines))


if __name__ == "__main__":
    command_line.run(
        main,
        required=("model",),
        config_kind=retrain_config.RetrainConfig,
    )
