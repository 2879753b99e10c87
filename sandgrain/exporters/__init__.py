"""Writers of foreign formats: graph in, bytes out."""
