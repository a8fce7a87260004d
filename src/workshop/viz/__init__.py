"""Pictures of layouts, launches and graphs, all drawn with the tokens of `workshop.viz.look`."""
