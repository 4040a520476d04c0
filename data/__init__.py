"""What passes between the stages: the recipe, the articles, the examples, the shard contract, the sample corpus."""
