"""From a configuration to what a search trains."""

from entrannas_tf.architecture import parameters as parameters_lib
from entrannas_tf.networks import supernet
from entrannas_tf.search import second_order
from entrannas_tf.search import step as search_step
from entrannas_tf.training import optimizers, runtime


def make_trainer(config, source, masks):
    """Returns the `search_step.SearchTrainer` of a search's start.

    Args:
        config: `search_config.Config`.
        source: The images, for their channels and their number of classes.
        masks: Dict by kind of cell of bool [E, K], the primitives that edges
            choose from; None for all.
    """
    network, search = config.network, config.search
    is_random = search.architecture == "random"
    parameters = parameters_lib.Architecture(
        network.space,
        network.sparse,
        search.initial_temperature,
        network.edge_normalization,
        masks,
        network.max_skips,
    )
    weights = supernet.Supernet(
        parameters.primitives,
        image_channels=source.image_shape[-1],
        num_classes=source.num_classes,
        num_cells=network.num_cells,
        init_channels=network.init_channels,
        stem=network.stem,
        engine_cells="none" if is_random else network.engine_cells,
        feature_sharing=network.feature_sharing,
        bottleneck=network.bottleneck,
        partial_channels=network.partial_channels,
        max_fold=network.max_fold,
        max_graphs=search.max_graphs,
        precision=search.precision,
        jit_compile=runtime.use_xla(search.xla),
        masks=masks,
    )
    kind = {
        1: search_step.SearchTrainer,
        2: second_order.SecondOrderTrainer,
    }[search.architecture_order]
    return kind(
        parameters,
        weights,
        optimizers.CoupledAdam(
            search.architecture_learning_rate,
            search.architecture_beta_1,
            search.architecture_beta_2,
            search.architecture_weight_decay,
        ),
        optimizers.CoupledSGD(
            search.weight_learning_rate,
            search.weight_momentum,
            search.weight_decay,
            search.gradient_clip_norm,
        ),
        search.threshold_penalty,
        scale_losses=search.precision == "float16",
        skip_dropout_seed=config.seed if search.skip_dropout_rate else None,
    )
