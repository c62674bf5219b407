"""The dataset of `stock_images_dataset_builder.py`."""
