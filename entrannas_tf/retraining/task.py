"""The interface of a task: all of a training that depends on it."""

import keras
import numpy as np


class Task:
    """A task: its data, its network, its loss, its scores.

    `classification.TASK` and `segmentation.TASK` are the two that there are;
    `tasks.TASKS` lists them. Images are float32 [B, H, W, C], normalized.
    The shape of labels is the task's own.

    Attributes:
        name: As in the field `task` of a configuration.
        config_kind: Class of its configurations.
        scores: Names of the numbers that `test` returns and that results
            state. The first says which network is the best.
    """

    name = ""
    config_kind = None
    scores = ()

    def load_data(self, config):
        """Returns the checked `datasets.RetrainData` of a configuration.

        Raises:
            ValueError: If the data are not as they should be.
            OSError: If a file cannot be read.
        """
        raise NotImplementedError

    def augmentation(self, config):
        """Returns how images and labels are augmented alike.

        Its method `preparer` makes batches, see `augment.Augmentation`.
        """
        raise NotImplementedError

    def steps_per_epoch(self, config):
        """Returns the number of steps of an epoch; None for a pass."""
        return None

    def evaluation_batches(self, source, indices, batch_size, **shares):
        """Returns the batches of `pipeline.evaluation_batches`."""
        raise NotImplementedError

    def describe_data(self, config, data):
        """Returns in words which images train, and which test."""
        raise NotImplementedError

    def describe_network(self, config, totals):
        """Returns in words what is trained.

        Args:
            config: Of `config_kind`.
            totals: Of `count`.
        """
        raise NotImplementedError

    def make_network(self, config, cells, source):
        """Returns the network, a functional `keras.Model` that is exported.

        Args:
            config: Of `config_kind`.
            cells: A `genotypes.Genotype`; None for a task that needs none.
            source: Of the training images.
        """
        raise NotImplementedError

    def trainer_options(self, config):
        """Returns the arguments of `step.RetrainTrainer` of this task alone."""
        raise NotImplementedError

    def count(self, config, cells, source):
        """Returns the `cost.Account.totals` of a configuration's network.

        Raises:
            ValueError: If the images are too small for the network, or nothing
                flows through a cell.
        """
        raise NotImplementedError

    def num_labelled(self, labels):
        """Returns how many predictions have a label, a float32 scalar.

        None stands for all of them, the same number in every batch.
        """
        raise NotImplementedError

    def loss(self, labels, logits, smoothing, count):
        """Returns the loss of a replica's batch, a float32 scalar.

        Args:
            labels: Of the task.
            logits: float32 [..., num_classes].
            smoothing: Share of each label that is spread over all classes.
            count: `num_labelled`, the mean over the replicas: their mean loss
                is then that of the global batch.
        """
        raise NotImplementedError

    def hits(self, labels, logits):
        """Returns what predictions are right, and the weight of each."""
        raise NotImplementedError

    def measure(self, labels, logits, weights):
        """Returns sums over a batch: a dict of tensors, whose sums count.

        Args:
            labels: Of the task.
            logits: float32 [..., num_classes].
            weights: float32 [B], 0 for images that do not count.
        """
        raise NotImplementedError

    def test(self, sums, num_examples, label_names):
        """Returns the scores of all images, a dict that JSON can hold.

        Args:
            sums: {name: array}, `measure` added up over all batches.
            num_examples: Number of images.
            label_names: Name of each class.
        """
        raise NotImplementedError

    def summary(self, scores):
        """Returns the scores of an epoch as a few words."""
        raise NotImplementedError

    def make_server(self, network, mean, std):
        """Returns a network with its preprocessing, for export.

        Args:
            network: That of `make_network`.
            mean: float [C], of images scaled to [0, 1].
            std: float [C], the standard deviation of these.

        Returns:
            A functional `keras.Model` of Keras's own layers that maps images,
            float32 [B, H, W, C] from 0 to 255, to probabilities, or to a dict
            of tensors with "probabilities" among them.
        """
        raise NotImplementedError

    def samples(self, data):
        """Yields test images to compare an export on, uint8 [B, H, W, C].

        Args:
            data: `datasets.RetrainData`.
        """
        raise NotImplementedError


def normalize(images, mean, std):
    """Returns images with a mean of 0 and a standard deviation of 1.

    Args:
        images: Symbolic float32 [B, H, W, C], from 0 to 255.
        mean: float [C], of images scaled to [0, 1].
        std: float [C], the standard deviation of these.
    """
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    layer = keras.layers.Rescaling(
        (1 / (255 * std)).tolist(), (-mean / std).tolist(), name="normalize"
    )
    return layer(images)
