"""Images to features (features.py), features to statistics, statistics to metrics: pure functions, float64."""
