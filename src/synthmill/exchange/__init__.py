"""What leaves a run for other tools, and what people send back: training formats, hubs, tools for annotation."""
