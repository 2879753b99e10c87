"""`sandgrain build --auto`: a few cheap candidates of features and models, compared by cross-validation within a time limit."""
