"""The boards, the compilers for them, where firmware runs, and what it costs there."""
