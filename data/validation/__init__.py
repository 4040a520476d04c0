"""The rules of the shard contract, and `validate`, which checks them on every row of every shard."""
