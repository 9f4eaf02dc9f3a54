"""Retraining on CIFAR-10, as in section 4.2 of the paper.

Reproduces the evaluation of table 6. The paper leaves open the augmentation
("standard": a crop after 4 pixels of padding, and mirroring, as in DARTS) and
the weight of the auxiliary head's loss (0.4, as in DARTS). Its dropout rate of
0.2 is taken to be DARTS's drop path.

Command:
    python -m launch.retrain --config=configs/retrain_cifar10.py \
        --genotype=runs/c10 --workdir=runs/c10_net \
        --config.data.data_dir=DIRECTORY

Cost: not measured. At 8 to 9 images per second, the speed of DARTS_V2's network
    on 2 cores, a run would take 40 days: use a GPU.
Expect: the paper's cells have a test error of 2.53 +- 0.06 % (EnTranNAS) and
    2.48 +- 0.08 % (EnTranNAS-DST). Ours: not measured.
"""

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    return schema.to_config_dict(
        retrain_config.RetrainConfig(
            name="retrain_cifar10",
            seed=0,
            num_runs=1,  # The paper reports 5.
            deterministic=False,
            data=retrain_config.RetrainDataConfig(
                name="cifar10",
                data_dir="~/tensorflow_datasets",
                num_examples=0,  # All 50,000; 10,000 test.
                crop_padding=4,  # Pixels.
                flip=True,
                cutout_length=16,  # Pixels.
                min_crop_area=0.0,  # No crop of random size.
                color_jitter=0.0,
            ),
            network=retrain_config.TargetNetworkConfig(
                num_cells=20,  # Reductions at cells 6 and 13.
                init_channels=36,
                stem="cifar",
            ),
            training=retrain_config.TrainingConfig(
                epochs=600,
                batch_size=96,  # 520 steps an epoch.
                eval_every_epochs=10,
                learning_rate=0.025,  # To 0 along a cosine.
                schedule="cosine",
                warmup_epochs=0,
                momentum=0.9,
                weight_decay=3e-4,
                gradient_clip_norm=5.0,
                label_smoothing=0.0,
                auxiliary_weight=0.4,
                drop_path_rate=0.2,  # In the end.
                precision="float32",
                checkpoint_every_steps=0,  # At the end of each epoch.
                checkpoints_to_keep=2,
            ),
        )
    )
