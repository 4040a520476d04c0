"""Vocabularies and text of the small teachers that `pretrain` makes."""
