"""Stage 1, the Beam jobs: corpora → units → masked windows → teacher top-k logits → shards."""
