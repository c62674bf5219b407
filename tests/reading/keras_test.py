"""Keras trains on what `tfds.load` reads, as in the README."""

import readme


def test_a_model_learns(digits, run_example):
    """The README's code; the loss falls in some epochs, of training and validation."""
    lines = run_example(
        readme.find_code("import keras"),
        digits.data_dir,
        """
        print(*model.history.history["loss"])
        print(*model.history.history["val_loss"])
        """,
        epochs=("epochs=2", "epochs=10"),
    )
    for losses in lines[-2:]:
        first, *_, last = map(float, losses.split())
        assert last < 0.995 * first
