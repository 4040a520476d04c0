"""A new student begins from its teachers' weights: rows of the vocabulary, and layers."""
