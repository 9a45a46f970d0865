"""A trained run as one program that runs without this software: preprocessing, encoder, read-out, decision."""
