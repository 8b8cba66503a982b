"""synthmill: training and test data that people can account for."""

__version__ = "0.1.0"
