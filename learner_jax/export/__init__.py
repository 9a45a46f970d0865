"""A trained run as one program that runs without this software: preprocessing, backbone, read-out, decision."""
