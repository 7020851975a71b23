"""A generated data set in the layout of BirdCLEF 2022, for trying everything without a download."""
