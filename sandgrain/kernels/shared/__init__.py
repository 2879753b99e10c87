"""What kernels of several families share, in C (`sg_*.h`) and in Python."""
