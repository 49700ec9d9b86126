"""Work that is spread: over threads of this process, over processes of this machine, or over the workers of Dask."""
