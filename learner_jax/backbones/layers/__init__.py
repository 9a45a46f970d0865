"""What several families are built of: convolution, norm, attention, pooling, temporal shift, numbered blocks."""
