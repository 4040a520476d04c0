"""The rules of the shard contract, and the walk that holds every row of every shard to them."""
