"""What several families share: convolution, norm, attention, pooling, temporal shift, numbered blocks."""
