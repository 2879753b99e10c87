"""Short forms of an op's integer arithmetic, and the proofs that they give the same outputs."""
