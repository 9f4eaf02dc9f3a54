"""EnTranNAS on CIFAR-10, as in section 4.2 of the paper.

Reproduces the search of table 6, row "EnTranNAS + cutout". The paper runs it
five times and takes the cell with the best validation accuracy, as
--config.num_searches=5 does. The paper leaves open the clipping of the gradient
(5, as in DARTS) and the augmentation ("standard": a crop after 4 pixels of
padding, and mirroring; no cutout in the search).

Command:
    python -m launch.search --config=configs/cifar10_entrannas.py \
        --workdir=runs/c10 --config.data.data_dir=DIRECTORY

Cost: the paper's takes 0.06 days on one GTX 1080 Ti, with 11 GB of memory.
    Ours: not measured.
Expect: the paper's cell, retrained, has 3.45 M parameters and a test error
    of 2.53 +- 0.06 %. Ours: not measured.
"""

from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    return schema.to_config_dict(
        search_config.Config(
            name="cifar10_entrannas",
            seed=0,
            deterministic=False,
            data=search_config.DataConfig(
                name="cifar10",
                data_dir="~/tensorflow_datasets",
                num_examples=0,  # All 50,000.
                weight_fraction=0.5,
                crop_padding=4,  # Pixels.
                flip=True,
                cutout_length=0,  # Pixels; none.
            ),
            network=search_config.NetworkConfig(
                space="standard",
                sparse=False,
                num_cells=8,  # Reductions at cells 2 and 5.
                init_channels=16,
                engine_cells="first",
                feature_sharing=True,
                bottleneck=4,
                max_fold=64,  # Images; changes the speed only.
            ),
            search=search_config.SearchConfig(
                epochs=50,
                batch_size=512,  # 48 steps an epoch.
                eval_every_epochs=5,
                weight_learning_rate=0.2,  # To 0 along a cosine.
                weight_momentum=0.9,
                weight_decay=3e-4,
                gradient_clip_norm=5.0,
                architecture_learning_rate=6e-4,
                architecture_beta_1=0.5,
                architecture_beta_2=0.999,
                architecture_weight_decay=1e-3,
                initial_temperature=5.0,
                temperature_decay=0.923,  # Each epoch; 0.10 in the last.
                checkpoint_every_steps=0,  # At the end of each epoch.
                checkpoints_to_keep=2,
                max_graphs=256,
            ),
        )
    )
