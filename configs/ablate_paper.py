"""The ablations of section 4.1, and Table 5, at the paper's size.

Reproduces Tables 1 to 4 and Figure 5 on CIFAR-10: the searches of
configs/cifar10_entrannas.py, retrained by configs/retrain_cifar10.py. The
paper's Tables 4 and 5 and Figure 5 are of cells searched on ImageNet; ours
search CIFAR-10 at the same lambda. Table 5's backbones are trained by
configs/retrain_imagenet.py, then by configs/segment_voc.py.

Command:
    python -m launch.ablate --table=1 --config=configs/ablate_paper.py \
        --workdir=runs/ablate_paper --config.data_dir=DIRECTORY

Use --table=2, 3, 4 and --figure=5 in the same workdir, and --table=5 with
--config.voc_dir=VOC2012. For cells that were searched on ImageNet, give their
workdirs in --config.backbones, and --config.penalties="()". Started on several
GPUs at once, the command shares out the runs.

Memory: by the paper's own figures EnTranNAS at this batch size of 512 fits in
    11 GB, but DARTS takes 9.0 GB at 64, so about 70 GB here. Rows that do not
    fit in memory are reported as missing. To use DARTS's own batch size in all
    rows:
    --config.search.search.batch_size=64
    --config.search.search.weight_learning_rate=0.025.
Cost: by the paper's own figures 0.06 to 0.73 days on one GTX 1080 Ti a search,
    and far more for 30 retrainings of 600 epochs in Table 2. Ours: not
    measured.
Expect: the paper's numbers, which the tables show next to ours.
"""

import ml_collections

from configs import (
    cifar10_entrannas,
    retrain_cifar10,
    retrain_imagenet,
    segment_voc,
)


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    return ml_collections.ConfigDict(
        {
            "name": "ablate_paper",
            "data_dir": "",  # That of `search` and `retraining`.
            "num_seeds": 1,
            "num_rank_seeds": 6,
            "methods": (
                "darts",
                "p_darts",
                "pc_darts",
                "entrannas",
                "entrannas_dst",
            ),
            "penalties": (0.2, 0.1, 0.05),
            "batch_size": 64,
            "num_steps": 10,
            "memory_limit_mib": 0,  # 11/9 of what DARTS takes.
            "backbones": ("resnet50", "NASNet", "DARTS_V2"),
            "pretrained": (True,),
            "resnet50_weights": "",
            "photos_dir": "",  # That of `pretraining`.
            "voc_dir": "",
            "search": cifar10_entrannas.get_config().to_dict(),
            "retraining": retrain_cifar10.get_config().to_dict(),
            "pretraining": retrain_imagenet.get_config().to_dict(),
            "segmentation": segment_voc.get_config().to_dict(),
        }
    ).lock()
