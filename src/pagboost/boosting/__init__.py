"""Boosting: guides at work on finished images."""
