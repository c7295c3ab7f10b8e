"""Rate control: the quality and the form of file that meet a target or keep a promise."""
