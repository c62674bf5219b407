"""Keras trains on the output of `tfds.load`, as in the README."""

import ast

import numpy as np
import readme
import tensorflow_datasets as tfds


def test_a_model_learns(digits, run_example):
    """The README's code; the losses of training and validation fall in ten epochs."""
    lines = run_example(
        readme.find_code("validation_data="),
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


SEED = "import keras\n\nkeras.utils.set_random_seed(0)\n"

DIALECTS = ("pet_boxes", "boxes_in_cells", "fractions", "like_coco")


def test_a_detector_learns_from_each_table_of_boxes(objects, run_example):
    """The code of the page on boxes; reading datasets needs only TFDS."""
    *_, lines, modules = run_example(
        SEED + readme.find_code("to_grid"),
        objects.data_dir,
        f"""
        import sys

        code = open(__file__).read().partition("if __name__")[0]
        results = []
        for name in {DIALECTS}:
            found = globals()
            if results:  # the first has been done
                text = code.replace("image_csv/pet_boxes", f"image_csv/{{name}}")
                exec(compile(text, __file__, "exec"), found := {{}})
            losses = found["model"].history.history
            grids = [grid["class"] for _, grid, _ in found["batches"]]
            boxes = sum(int((grid.numpy() > 0).sum()) for grid in grids)
            results.append([boxes, losses["class_loss"], losses["box_loss"]])
        print(results)
        print([name for name in sys.modules if name.startswith("tfds_imagecsv")])
        """,
        epochs=("epochs=2", "epochs=16"),
        with_tensorflow=True,
    )
    assert modules == "[]"
    results = ast.literal_eval(lines)
    for name, (boxes, of_classes, of_boxes) in zip(DIALECTS, results, strict=True):
        info = tfds.builder(f"image_csv/{name}", data_dir=objects.data_dir).info
        assert boxes == sum(info.metadata["box_counts"]["train"].values())
        assert np.mean(of_classes[-3:]) < 0.7 * of_classes[0]
        assert np.mean(of_boxes[-3:]) < 0.8 * of_boxes[0]


def test_tables_of_one_kind_of_boxes_give_the_same(objects):
    """In any dialect, they are the boxes of the images."""
    for name in DIALECTS:
        found = {}
        data = tfds.load(f"image_csv/{name}", data_dir=objects.data_dir)
        info = tfds.builder(f"image_csv/{name}", data_dir=objects.data_dir).info
        names = info.features["objects"].feature["label"].names
        for split in data.values():
            for example in tfds.as_numpy(split):
                height, width = example["image"].shape[:2]
                boxes = example["objects"]["bbox"][:, [1, 0, 3, 2]]
                boxes = boxes * [width, height, width, height]
                found[example["image/filename"].decode()] = sorted(
                    (names[label], *box.round(3).tolist())
                    for label, box in zip(
                        example["objects"]["label"], boxes, strict=True
                    )
                )
        is_whole = name in ("pet_boxes", "like_coco")
        expected = {
            name: sorted(boxes)
            for name, boxes in objects.boxes.items()
            if boxes or is_whole
        }
        assert found == expected


def test_a_model_learns_which_text_belongs_to_an_image(objects, run_example):
    """The code for captions; its loss falls below that of guessing."""
    [*_, losses, words] = run_example(
        SEED + readme.find_code("TextVectorization"),
        objects.data_dir,
        """
        print(*model.history.history["loss"])
        print(*sorted(to_words.get_vocabulary()[2:]))
        """,
        epochs=("epochs=2", "epochs=20"),
        with_tensorflow=True,
    )
    *_, last = map(float, losses.split())
    assert last < 0.8 * np.log(32)
    of_texts = {word for text in objects.captions.values() for word in text.split()}
    assert set(words.split()) == of_texts


def test_a_u_net_learns_masks_of_a_table_and_of_a_directory(masked, run_example):
    """The code of the page on masks; reading datasets needs only TFDS."""
    *_, of_cells, of_street, modules = run_example(
        SEED + readme.find_code("UpSampling2D"),
        masked,
        """
        import sys

        code = open(__file__).read().partition("if __name__")[0]
        code = code.replace("image_csv/cells", "image_csv/street")
        exec(compile(code, __file__, "exec"), of_street := {})
        for found in globals(), of_street:
            seen = {"images": set(), "masks": set(), "values": set()}
            for images, masks in found["batches"]:
                seen["images"].add((images.dtype.name, *images.shape[1:]))
                seen["masks"].add((masks.dtype.name, *masks.shape[1:]))
                seen["values"].update(masks.numpy().ravel().tolist())
            history = found["model"].history.history
            predicted = found["model"].predict(images, verbose=0).argmax(-1)
            seen["right"] = float((predicted == masks.numpy()[..., 0]).mean())
            name = found["info"].full_name
            print((name, seen, history["loss"], history["overlap"]))
        print([name for name in sys.modules if name.startswith("tfds_imagecsv")])
        """,
        epochs=("epochs=2", "epochs=10"),
        with_tensorflow=True,
    )
    assert modules == "[]"
    for name, line in {"cells": of_cells, "street": of_street}.items():
        full_name, seen, losses, overlaps = ast.literal_eval(line)
        assert full_name == f"image_csv/{name}/1.0.0"
        assert seen.pop("right") > 0.9
        assert seen == {
            "images": {("float32", 32, 32, 3)},
            "masks": {("uint8", 32, 32, 1)},
            "values": {0, 1, 2},
        }
        assert losses[-1] < 0.3 * losses[0]
        assert overlaps[0] < 0.5 < 0.7 < overlaps[-1]
