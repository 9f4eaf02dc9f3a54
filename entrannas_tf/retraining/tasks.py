"""The tasks that there are, and the trainer of a configuration of any."""

from entrannas_tf.networks.layers import precision
from entrannas_tf.retraining import classification, segmentation
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.training import optimizers, runtime

TASKS = {task.name: task for task in (classification.TASK, segmentation.TASK)}


def of(config):
    """Returns the `task.Task` that a configuration is of."""
    return TASKS[getattr(config, "task", classification.TASK.name)]


def make_trainer(config, cells, source):
    """Returns the `retraining_step.RetrainTrainer` of a run's start.

    Args:
        config: Of the `config_kind` of a task.
        cells: A `genotypes.Genotype`, or None for a task that needs none.
        source: Source of the images, for their shape and classes.
    """
    task, training = of(config), config.training
    policy = training.precision
    if policy != "float32":
        policy = f"mixed_{policy}"
    with precision.policy(policy):
        return retraining_step.RetrainTrainer(
            task.make_network(config, cells, source),
            optimizers.CoupledSGD(
                training.learning_rate,
                training.momentum,
                training.weight_decay,
                training.gradient_clip_norm,
            ),
            task=task,
            seed=config.seed,
            scale_losses=training.precision == "float16",
            jit_compile=runtime.use_xla(training.xla),
            **task.trainer_options(config),
        )
