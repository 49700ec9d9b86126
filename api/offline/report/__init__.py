"""The report: what an evaluation found, as one page for a browser and as pictures. It needs matplotlib."""
