"""FiNet: dressed people whose garments are filled in, diverse and compatible, from the second talk."""
