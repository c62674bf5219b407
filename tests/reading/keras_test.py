"""Keras trains on what `tfds.load` reads, as in the README."""

import readme


def test_a_model_learns(digits, run_example):
    """The README's code; the losses of training and validation fall in ten epochs."""
    lines = run_example(
        readme.find_code("import keras"),
        digits.data_dir,
        """
        print(*model.history.history["loss"])
        print(*model.history.history["val_loss"])
        """,
        epochs=("epochs=2", "epochs=10"),
        with_tensorflow=True,
    )
    for losses in lines[-2:]:
        first, *_, last = map(float, losses.split())
        assert last < 0.8 * first
