"""Several processes serve the experiments of one database: which has which, and how they pass requests on."""
