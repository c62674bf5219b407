"""Class weights from the metadata, as in the README."""

import json

import numpy as np
import pytest
import readme
import tensorflow_datasets as tfds
from sklearn.utils.class_weight import compute_class_weight


@pytest.fixture
def weights_and_labels(run_example, data_dir, make_dataset, make_builder):
    """Returns a function that builds a dataset with some labels.

    It returns the weights by class id, from the README's code, and the ids of the train
    split's images, as read.
    """

    def weights_and_labels(labels, **fields):
        rows = [(f"{at}.png", label) for at, label in enumerate(labels)]
        make_builder(make_dataset(rows, **fields)).download_and_prepare()
        [*_, line] = run_example(
            readme.find_code("class_weight = "),
            data_dir,
            "import json; print(json.dumps(class_weight))",
        )
        weights = {int(at): weight for at, weight in json.loads(line).items()}
        train = tfds.load("image_csv/pets", split="train", data_dir=data_dir)
        return weights, [int(one["label"]) for one in train]

    return weights_and_labels


LABELS = ["cat"] * 10 + ["dog"] * 20 + ["emu"] * 40


def test_they_are_those_of_scikit_learn(weights_and_labels):
    """For three classes, one of them four times as large as another."""
    weights, labels = weights_and_labels(LABELS)
    assert len(labels) == 56
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert weights == pytest.approx(dict(enumerate(expected)), rel=1e-12)


def test_a_class_without_images_changes_nothing(weights_and_labels):
    """The others have scikit-learn's weights; all have one, as Keras requires."""
    weights, labels = weights_and_labels(LABELS, classes=["ant", "cat", "dog", "emu"])
    assert sorted(set(labels)) == [1, 2, 3]
    expected = compute_class_weight("balanced", classes=np.arange(1, 4), y=labels)
    del weights[0]
    assert weights == pytest.approx(dict(enumerate(expected, start=1)), rel=1e-12)
