"""What every other part of Sandgrain may use: files that are written whole, text for people, the cache folder, progress."""
