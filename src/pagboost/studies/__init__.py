"""Studies: what is measured on classifiers themselves, image by image."""
