"""The paper's tasks: scores, as the field measures them."""
