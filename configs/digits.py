"""EnTranNAS on handwritten digits: the whole method in two minutes.

Reproduces no number of the paper. It shows the search on real images that come
with scikit-learn, 1,437 training images of 16x16 pixels, without a download.
Alpha takes larger steps than in the paper and the temperature falls faster,
because there are 132 steps instead of 2,400.

Command: make search, or
    python -m launch.search --config=configs/digits.py --workdir=runs/digits

Cost: 1 min 47 s and 1.3 GiB of memory on 2 cores.
Expect: 95.0 % for the super-net and 80.7 % for the child network (seed 0).
"""

from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    return schema.to_config_dict(
        search_config.Config(
            name="digits",
            seed=0,
            deterministic=False,
            data=search_config.DataConfig(
                name="digits",
                weight_fraction=0.5,  # 718 images; 719 for alpha.
                crop_padding=2,  # Pixels.
                flip=False,  # A mirrored digit is none.
                cutout_length=0,  # Pixels; none.
            ),
            network=search_config.NetworkConfig(
                space="standard",
                sparse=False,
                num_cells=4,  # Reductions at cells 1 and 2.
                init_channels=8,
                engine_cells="first",
                feature_sharing=True,
                bottleneck=4,
                max_fold=64,  # Images.
            ),
            search=search_config.SearchConfig(
                epochs=12,
                batch_size=64,  # 11 steps an epoch.
                eval_every_epochs=3,
                weight_learning_rate=0.1,  # To 0 along a cosine.
                weight_momentum=0.9,
                weight_decay=3e-4,
                gradient_clip_norm=5.0,
                architecture_learning_rate=0.1,
                architecture_schedule="cosine",  # The search must settle.
                architecture_beta_1=0.5,
                architecture_beta_2=0.999,
                architecture_weight_decay=1e-3,
                initial_temperature=1.0,
                temperature_decay=0.85,  # Each epoch; 0.17 in the last.
                checkpoint_every_steps=0,  # At the end of each epoch.
                checkpoints_to_keep=2,
                max_graphs=256,
            ),
        )
    )
