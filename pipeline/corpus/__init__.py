"""Dumps and text of any format → article shards. Knows neither Beam nor torch."""
